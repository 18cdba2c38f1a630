"""Histogram buckets of the workers' metrics."""

from __future__ import annotations

RECORDS = (1, 10, 100, 1_000, 10_000)
"""Numbers of records in a chunk."""

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds spent on a chunk, or on a part of its work."""
