"""Kazoo: one push subscription per device of an account."""
