"""The `pushreg` command: the local stack and the operators' tools. Never deployed."""
