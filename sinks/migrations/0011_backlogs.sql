-- What a replay has taken over from the sinks: they go on behind it with new events, the replay stores it.
alter table eye.replay_partitions
    add column sink text,
    add column taken_from bigint,
    add column taken_to bigint,
    add column moved_at timestamptz not null default now();

comment on column eye.replay_partitions.sink is 'The sink whose backlog the run has taken over.';
comment on column eye.replay_partitions.taken_from is 'Where that sink stood; null where nothing was taken over.';
comment on column eye.replay_partitions.taken_to is 'Where that sink was moved to.';
comment on column eye.replay_partitions.moved_at is 'When the run stored something here last.';

create view eye.backlogs as
select run, sink, topic, partition, greatest(next_offset, taken_from) as next_offset, taken_to as end_offset, moved_at
from eye.replay_partitions
where greatest(next_offset, taken_from) < taken_to;

comment on view eye.backlogs is 'What was taken over from the sinks and is not stored yet.';

create view eye.stored_positions as
select sink, topic, partition, least(next_offset, (
    select min(backlog.next_offset) from eye.backlogs backlog
    where backlog.sink = position.sink and backlog.topic = position.topic and backlog.partition = position.partition
)) as next_offset
from eye.sink_positions position;

comment on view eye.stored_positions is 'Up to where all rows are stored, by the sinks and by replays that took over.';
