"""Drills: known events go through the real gateway while something breaks; then an independent reader counts.

`python -m tests.faults` runs them all; see docs/faults.md.
"""
