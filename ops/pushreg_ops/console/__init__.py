"""The console: read-only pages about one registry, for its operator's browser. Never deployed."""
