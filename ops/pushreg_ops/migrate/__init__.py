"""Export of registrations, and their import into a registry that may be in use."""
