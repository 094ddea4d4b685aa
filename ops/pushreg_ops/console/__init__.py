"""The console: read-only pages for one registry, for its operator's browser. Never deployed."""
