"""The event types that The Eye knows from the start; one module a category."""
