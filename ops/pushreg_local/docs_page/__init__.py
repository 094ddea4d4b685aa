"""The local stack's documentation page: Swagger UI over the OpenAPI document, all of it from this machine."""
