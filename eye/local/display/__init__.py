"""Output of `eye up`: event counts, and tables of stored data."""
