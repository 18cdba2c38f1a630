"""The HTTP side of The Eye: events come in and go out to topic `events.raw`; applications read rows back.

Start with `app`: its table of routes is the whole surface. A POST goes through `connections` (the client's side),
`routes.fast_path` or `routes.events` (its handlers), `admission` (the key and the bounds), `ingest` (bytes to events)
and `publish` (Kafka, else the `spool` on disk, in order). The reads answer from Postgres, through `query`.

An answer of 2xx means durable. The package judges no payload unless it is asked to, changes no byte of an event, writes
nothing to Postgres, and imports `schemas` and `kafka_client` alone: never Faust, never another package of The Eye.
"""
