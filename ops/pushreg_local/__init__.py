"""The local stack: serves the API on this machine as described by template.yaml. Never deployed."""
