-- Clocks of senders: the correction of a timestamp, and the offset that a session's first event decided. Null where
-- nothing was corrected, and in older rows; processes of before this migration go on: they name the columns that they
-- write.
alter table eye.events add column timestamp_sent timestamptz;
alter table eye.events add column clock_offset_ms bigint;
alter table eye.sessions add column clock_offset_ms bigint;

comment on column eye.events.occurred_at is 'The time at which the event occurred: the timestamp as sent, or corrected by clock_offset_ms; decides the monthly partition.';
comment on column eye.events.timestamp_sent is 'The timestamp as sent; null where occurred_at is just that.';
comment on column eye.events.clock_offset_ms is 'Milliseconds that were added to the timestamp, since the sender''s clock is off: the same in all events of a session; null where nothing was corrected.';
comment on column eye.sessions.clock_offset_ms is 'Milliseconds that are added to the timestamps of its events, decided by its first event; null where they are taken as sent.';

-- What a redrive needs to judge an event as the stream does.
alter table eye.rejected_events add column sent_at timestamptz;
alter table eye.rejected_events add column unknown_event_types text;
alter table eye.rejected_events add column clock_offset_ms bigint;

comment on column eye.rejected_events.sent_at is 'The time at which its request was sent, by the sender''s clock; null where the request did not say.';
comment on column eye.rejected_events.unknown_event_types is 'What its application stated of event types that the catalogue lacks: accept or reject; null where it stated nothing.';
comment on column eye.rejected_events.clock_offset_ms is 'The clock_offset_ms of its session when it was judged; null where there is none.';
