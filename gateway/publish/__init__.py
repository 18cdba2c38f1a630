"""Publishing to `events.raw`: Kafka, else the spool, in order (`partition_queues` has the policy)."""
