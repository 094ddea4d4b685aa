"""Pairs of functions between bytes and plain data; they know no model."""
