"""Reference implementations that stages are measured against."""
