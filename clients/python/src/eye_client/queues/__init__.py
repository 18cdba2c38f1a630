"""The queues of events: in memory, and on disk."""
