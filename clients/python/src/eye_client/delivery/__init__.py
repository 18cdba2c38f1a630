"""Delivery: events from a queue to the gateway, and the result of each of them."""
