"""Converters from the source formats to registrations."""
