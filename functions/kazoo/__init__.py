"""Kazoo: one push subscription per device of an account."""

import gc

# What is made from here to prepare() stays: to search it for garbage is a twentieth of a cold start.
gc.disable()
