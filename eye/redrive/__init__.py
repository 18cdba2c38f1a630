"""Redrive: judge rejected events again, corrected or by corrected rules.

An event that passes is stored, once; one that does not is tried at most `MAX_ATTEMPTS` times in all.
"""
