"""The built-in event types; one module for each category."""
