"""Events again: what Kafka still has, into Postgres, through today's rules, or into a file.

Works beside the live line: reads with a consumer of its own, writes with transactional ids of its own, and keeps
each run in Postgres, so that one that was cut off goes on where it was.
"""
