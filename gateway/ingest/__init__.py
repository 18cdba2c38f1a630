"""From a request body to events: decompression, readers of JSON, and the result of each event."""
