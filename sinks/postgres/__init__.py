"""What the sinks need of PostgreSQL: pool, binary COPY, group commit, migrations."""
