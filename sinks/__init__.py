"""Store verdicts and session summaries in Postgres, each chunk in one transaction with its position.

Reads `events.validated`, `events.rejected` and `sessions`; owns the schema `eye` and its migrations. Judges nothing,
writes nothing to Kafka, and does not know HTTP.
"""
