-- The process that works on a run. A table of its own: a batch holds the run's row for as long as it takes.
create table eye.replay_workers (
    run text collate "C" primary key references eye.replays on delete cascade,
    worker text not null,
    alive_at timestamptz not null default now()
);

comment on table eye.replay_workers is 'The process that works on a run of eye replay or eye redrive, or did so last.';
comment on column eye.replay_workers.run is 'The run.';
comment on column eye.replay_workers.worker is 'The process: user, host, process id, and a word of its own.';
comment on column eye.replay_workers.alive_at is 'Its last sign of life; one that works gives one every second.';
