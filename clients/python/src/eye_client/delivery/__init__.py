"""Delivery: events from a queue to the gateway, and the last word on each of them."""
