"""The Device Token Service: FCM registration tokens by place."""

import gc

# What is made from here to prepare() stays: to search it for garbage is a twentieth of a cold start.
gc.disable()
