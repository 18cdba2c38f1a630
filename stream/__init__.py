"""From raw records to verdicts and session summaries, each chunk in one Kafka transaction.

Reads `events.raw`; writes `events.validated`, `events.rejected` and `sessions`. Knows nothing of HTTP
and nothing of Postgres.
"""
