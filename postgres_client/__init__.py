"""Connections to Postgres that depend on no default set elsewhere. Imports no other package."""
