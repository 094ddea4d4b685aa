"""Models of the families, concurrent histories checked against them, network faults and killed processes."""
