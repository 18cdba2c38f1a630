"""A small shop that uses both clients: the browser's in its pages, Python's in its backend."""
