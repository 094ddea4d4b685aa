"""Verification of the invariants in a registry's tables, and repair."""
