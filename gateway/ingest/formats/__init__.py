"""The formats of senders that already exist, one module each.

Pure functions take a request's parts to events with their verdicts, and verdicts to the format's answer. No IO here.
"""
