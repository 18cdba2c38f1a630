-- Accepted events, a partition for each month of occurred_at (UTC). The default partition takes what has no
-- month of its own, so that an insert never fails for want of one. A unique index can't span partitions
-- without occurred_at: that an event is here once is event_keys' part. Texts of an index compare by their bytes,
-- which is fast, and the same whatever the system's locale is.
create table eye.events (
    event_id uuid not null,
    application text collate "C" not null,
    session_id text collate "C" not null,
    category text collate "C" not null,
    name text collate "C" not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    schema_version int not null,
    data jsonb not null,
    source_partition int,
    source_offset bigint,
    client_event_id text
) partition by range (occurred_at);

comment on table eye.events is 'Accepted events, each once.';
comment on column eye.events.event_id is 'The event''s id, or a UUIDv5 of application and id where the id is no UUID.';
comment on column eye.events.client_event_id is 'The id as the application sent it, where it is no UUID.';
comment on column eye.events.source_partition is 'Partition of the raw record in Kafka.';
comment on column eye.events.source_offset is 'Offset of the raw record in Kafka.';

create index events_by_session on eye.events (session_id, occurred_at, event_id);
create index events_by_type on eye.events (category, name, occurred_at, event_id);
create index events_by_time on eye.events (occurred_at, event_id);

create table eye.events_default partition of eye.events default;

-- One row for each stored event: an id that comes again with another timestamp is still the same event.
create table eye.event_keys (
    event_id uuid not null,
    application text collate "C" not null,
    occurred_at timestamptz not null,
    primary key (event_id, application)
);

comment on table eye.event_keys is 'Which events are stored, and when they occurred: tells the partition to look in.';
