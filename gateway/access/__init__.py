"""API keys of applications, their scopes, and their rate limits."""
