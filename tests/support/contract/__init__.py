"""The contract as data: cases read from tests/cases and played against anything that answers requests."""
