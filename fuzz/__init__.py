"""Coverage-guided fuzzing of both codecs and of each family's way from a request to its answer."""
