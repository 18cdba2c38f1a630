"""The user that a local server runs as, and the places that this user reaches."""
