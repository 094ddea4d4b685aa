"""Stores: entities to items and back, one method per access pattern."""
