"""Whether a registry is as it should be, and works."""
