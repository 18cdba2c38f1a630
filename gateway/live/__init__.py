"""Verdicts as they come: one reader of the two topics in a process, and those who listen to it."""
