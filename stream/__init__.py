"""Turn raw records into verdicts and session summaries, each chunk in one Kafka transaction.

Reads `events.raw`; writes `events.validated`, `events.rejected` and `sessions`. Knows neither HTTP nor Postgres.
"""
