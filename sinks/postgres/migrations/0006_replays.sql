-- What was replayed: each run, and how far it has come in each partition, in step with the rows it wrote.
create table eye.replays (
    run text collate "C" primary key,
    target text not null,
    selection jsonb not null,
    options jsonb not null,
    started_by text not null,
    started_at timestamptz not null default now(),
    ended_at timestamptz,
    status text not null default 'running',
    result jsonb
);

comment on table eye.replays is 'Each run of eye replay and eye redrive.';
comment on column eye.replays.run is 'The run''s id; ids sort by the time the runs were started.';
comment on column eye.replays.status is 'running (or killed), stopped, cancelled, failed, or done.';
comment on column eye.replays.result is 'What the run came to, and its proof.';

create table eye.replay_partitions (
    run text collate "C" not null references eye.replays on delete cascade,
    topic text not null,
    partition int not null,
    first_offset bigint not null,
    next_offset bigint not null,
    end_offset bigint not null,
    selected bigint not null default 0,
    changed bigint not null default 0,
    primary key (run, topic, partition)
) with (fillfactor = 50);

comment on table eye.replay_partitions is 'How far each run has come; moves in the transaction of the rows.';
comment on column eye.replay_partitions.selected is 'Records that were selected so far.';
comment on column eye.replay_partitions.changed is 'Rows that are new or were replaced so far.';
