"""Kazoo: one push subscription per device of an account (docs/spec/kazoo.md)."""
