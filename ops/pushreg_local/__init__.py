"""The local stack: the API on this machine, read from template.yaml. Never deployed."""
