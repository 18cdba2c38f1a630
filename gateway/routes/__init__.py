"""HTTP handlers, one module for each resource, and the OpenAPI description of them."""
