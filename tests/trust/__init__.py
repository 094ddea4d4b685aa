"""Attacks on what the registry promises: models to compare with, histories, faults on the wire, killed processes."""
