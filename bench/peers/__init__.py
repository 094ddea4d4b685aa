"""The same hot operations as a floor without frameworks, on FastAPI with Mangum, and on Chalice."""
