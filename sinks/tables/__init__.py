"""The tables that the sinks fill: columns, rows, SQL and writers, one module for each table."""
