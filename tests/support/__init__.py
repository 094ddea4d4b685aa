"""What tests of several kinds share: calling the families, looking at what is stored, the wire between."""
