"""The shapes of each family's requests and entities."""
