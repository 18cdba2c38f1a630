"""The spool: a bounded queue on disk for events that Kafka does not acknowledge."""
