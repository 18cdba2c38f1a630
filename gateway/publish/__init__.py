"""Publish events to Kafka in order, or to the spool while Kafka does not acknowledge."""
