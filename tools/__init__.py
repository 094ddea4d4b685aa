"""Build checks: what would be deployed, and the API document."""
