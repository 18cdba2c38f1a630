"""The sinks' access to PostgreSQL: pool, binary COPY, migrations."""
