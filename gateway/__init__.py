"""The door of The Eye: events come in over HTTP and go out to topic `events.raw`; applications read rows back.

Start with `app`: the table of routes is the whole surface. The way of an event is `ingest` (one request),
`body` and `intake` (bytes to events), `publisher` (events to Kafka, many requests to one acknowledgement);
`connection` keeps Kafka's producer alive. What Kafka does not take in time goes to the `spool` on disk, and `drain`
brings it back. `reads` answers from Postgres, through `database` and `queries`.

An answer of 2xx means durable. The package judges no payload unless it is asked to, changes no byte of an
event, writes nothing to Postgres, and imports schemas alone: never Faust, never another package of The Eye.
"""
