"""Stored items, parsed strictly, and the invariants that they keep."""
