"""The shared vocabulary: everything that crosses the border of a process.

Events and the records that carry them, event types and their rules, verdicts, session summaries, topics and settings.
Pure: nothing here opens a connection or imports another package.
"""
