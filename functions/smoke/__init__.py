"""Smoke tests of a deployed stack: of a version before it gets traffic, and of the API every few minutes."""
