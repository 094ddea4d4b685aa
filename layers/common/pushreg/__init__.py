"""Shared by the functions: models, codecs, stores, credentials and errors of the push-subscription registry."""
