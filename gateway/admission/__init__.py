"""Admission control: how many requests and bytes the gateway holds at once, and the requests in progress."""
