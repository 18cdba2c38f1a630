-- Events that break a rule, each with every reason and the value as it came.
create table eye.rejected_events (
    event_id uuid not null,
    application text collate "C" not null,
    session_id text collate "C",
    category text collate "C",
    name text collate "C",
    timestamp text,
    received_at timestamptz not null,
    codes text[] not null,
    errors jsonb not null,
    raw text not null,
    raw_encoding text not null,
    raw_truncated boolean not null,
    source_partition int,
    source_offset bigint,
    client_event_id text,
    primary key (event_id, application)
);

comment on table eye.rejected_events is 'Events that break a rule, each once, with every reason.';
comment on column eye.rejected_events.timestamp is 'The timestamp as sent, readable or not.';
comment on column eye.rejected_events.raw is 'The record''s value: text, or base64 as raw_encoding tells.';

create index rejected_events_by_time on eye.rejected_events (received_at, event_id);
create index rejected_events_by_code on eye.rejected_events using gin (codes);
create index rejected_events_by_session on eye.rejected_events (session_id);
