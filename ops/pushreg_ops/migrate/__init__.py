"""Moving registrations: out of a registry, and into one while it is in use."""
