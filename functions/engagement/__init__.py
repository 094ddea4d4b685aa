"""Volt MX and Quantum Fabric Engagement: subscribers known by their KSID."""

import gc

# What is made from here to prepare() stays: to search it for garbage is a twentieth of a cold start.
gc.disable()
