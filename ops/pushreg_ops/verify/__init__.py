"""Whether a registry's tables keep the invariants, and mending what is broken."""
