"""Reads from Postgres and Kafka: parameters, SQL, rows and cursors."""
