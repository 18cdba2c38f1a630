"""Admission control: the requests, bytes and events that the gateway takes at once."""
