"""Clients of The Eye, each a distribution of its own with its own version; The Eye imports none of them."""
