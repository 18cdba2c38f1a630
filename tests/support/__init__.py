"""Builders of test data, and the servers and processes that tests start."""
