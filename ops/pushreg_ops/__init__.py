"""The `pushreg` command, the operator's tool. Never deployed."""
