"""The wire and stored shapes of each family."""
