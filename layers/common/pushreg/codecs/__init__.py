"""Codecs: pairs of functions between bytes and plain data, independent of the models."""
