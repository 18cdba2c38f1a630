"""The books: what was received against what became of it."""
