"""Health checks of a registry."""
