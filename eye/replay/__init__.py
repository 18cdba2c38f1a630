"""Replay: use records that Kafka still has again, for Postgres, for today's rules, or for a file.

::Works beside the live pipeline:: reads with a consumer of its own, writes with transactional ids of its own, and keeps
each run in Postgres, so that one that was cut off goes on where it was.
"""
