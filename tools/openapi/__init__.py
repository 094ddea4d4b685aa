"""The OpenAPI document: the template's routes, the models' schemas and each family's answers put together."""
