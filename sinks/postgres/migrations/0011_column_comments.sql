-- Every column has its comment: the reference of the tables is made of these.
comment on column eye.events.application is 'The application that sent the event.';
comment on column eye.events.session_id is 'The session, as the application named it.';
comment on column eye.events.category is 'The category of the event''s type.';
comment on column eye.events.name is 'The name of the event''s type.';
comment on column eye.events.occurred_at is 'The time at which the event occurred, as sent; decides the monthly partition.';
comment on column eye.events.received_at is 'The time at which the gateway received the event.';
comment on column eye.events.schema_version is 'The version of the event''s type that the payload was checked against.';
comment on column eye.events.data is 'The payload.';

comment on column eye.event_keys.event_id is 'The event_id of the row in eye.events.';
comment on column eye.event_keys.application is 'The application of the row in eye.events.';
comment on column eye.event_keys.occurred_at is 'The occurred_at of the row in eye.events, which tells its partition.';

comment on column eye.rejected_events.event_id is 'The event''s id, or a UUIDv5 of application and id where the id is no UUID.';
comment on column eye.rejected_events.application is 'The application that sent the event.';
comment on column eye.rejected_events.session_id is 'The session as sent; null where it could not be read.';
comment on column eye.rejected_events.category is 'The category as sent, cut to 128 characters; null where it could not be read.';
comment on column eye.rejected_events.name is 'The name as sent, cut to 128 characters; null where it could not be read.';
comment on column eye.rejected_events.received_at is 'The time at which the gateway received the event.';
comment on column eye.rejected_events.codes is 'The codes of the broken rules, each once.';
comment on column eye.rejected_events.errors is 'Every broken rule: code, JSON path of the value, message.';
comment on column eye.rejected_events.raw_encoding is 'The encoding of raw: utf-8 or base64.';
comment on column eye.rejected_events.raw_truncated is 'True where raw was cut at the size limit.';
comment on column eye.rejected_events.source_partition is 'Partition of the raw record in Kafka.';
comment on column eye.rejected_events.source_offset is 'Offset of the raw record in Kafka.';
comment on column eye.rejected_events.client_event_id is 'The id as the application sent it, where it is no UUID.';

comment on column eye.sessions.session_id is 'The session, as its applications named it.';
comment on column eye.sessions.applications is 'The applications that sent events of it, in the order of their first event.';
comment on column eye.sessions.status is 'open while events are expected, else closed; a late event opens it again.';
comment on column eye.sessions.started_at is 'The time at which its first accepted event occurred; null while there is none.';
comment on column eye.sessions.ended_at is 'The time at which its last accepted event occurred; null while there is none.';
comment on column eye.sessions.event_count is 'Number of accepted events.';
comment on column eye.sessions.rejected_count is 'Number of rejected events.';
comment on column eye.sessions.counts_by_type is 'Number of accepted events by category/name, of up to 300 types; others as other/other.';
comment on column eye.sessions.first_event_id is 'The id of the event that occurred first, as sent.';
comment on column eye.sessions.last_event_id is 'The id of the event that occurred last, as sent.';
comment on column eye.sessions.updated_at is 'The time of its partition at the last change: the latest reception so far.';

comment on column eye.sink_positions.sink is 'The sink: the group''s prefix and the table''s name.';
comment on column eye.sink_positions.topic is 'The topic that the sink reads.';
comment on column eye.sink_positions.partition is 'The partition of the topic.';
comment on column eye.sink_positions.updated_at is 'The time of the last move.';

comment on column eye.replays.target is 'The target of the run: sink, stream, file or redrive.';
comment on column eye.replays.selection is 'The records that the run selects.';
comment on column eye.replays.options is 'The options of the run.';
comment on column eye.replays.started_by is 'The user and host that started the run.';
comment on column eye.replays.started_at is 'The time of the start.';
comment on column eye.replays.ended_at is 'The time of the end; null while the run goes on.';

comment on column eye.replay_partitions.run is 'The id of the run.';
comment on column eye.replay_partitions.topic is 'The topic that is read.';
comment on column eye.replay_partitions.partition is 'The partition of the topic.';
comment on column eye.replay_partitions.first_offset is 'The first offset of the run.';
comment on column eye.replay_partitions.next_offset is 'The next offset to be read.';
comment on column eye.replay_partitions.end_offset is 'The end of the run, itself not read.';

comment on column eye.replaced_verdicts.event_id is 'The event_id of the verdict''s row.';
comment on column eye.replaced_verdicts.application is 'The application of the verdict''s row.';
comment on column eye.replaced_verdicts.source_partition is 'Partition of the raw record in Kafka.';
comment on column eye.replaced_verdicts.source_offset is 'Offset of the raw record in Kafka.';
comment on column eye.replaced_verdicts.run is 'The latest run that published a verdict on the record.';

comment on column eye.redrive_attempts.event_id is 'The event_id of the rejected event''s row.';
comment on column eye.redrive_attempts.application is 'The application of the rejected event''s row.';
comment on column eye.redrive_attempts.attempts is 'Number of attempts.';
comment on column eye.redrive_attempts.last_run is 'The run of the last attempt.';
comment on column eye.redrive_attempts.last_at is 'The time of the last attempt.';

comment on table eye.migrations is 'The migrations that were applied.';
comment on column eye.migrations.name is 'The file''s name.';
comment on column eye.migrations.checksum is 'The SHA-256 of the file.';
comment on column eye.migrations.applied_at is 'The time at which it was applied.';
