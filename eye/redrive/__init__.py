"""Rejected events again, mended or under mended rules.

What passes becomes an event, once; what does not is tried at most `MAX_ATTEMPTS` times in all.
"""
