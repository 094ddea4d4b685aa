"""What the functions share: models, codecs, stores, credentials and errors of the push-subscription registry."""
