-- How often a rejected event was tried again, so that none is tried for ever.
create table eye.redrive_attempts (
    event_id uuid not null,
    application text collate "C" not null,
    attempts int not null,
    last_run text collate "C" not null,
    last_at timestamptz not null default now(),
    primary key (event_id, application)
);

comment on table eye.redrive_attempts is 'How often eye redrive has tried a rejected event.';

create index redrive_attempts_by_run on eye.redrive_attempts (last_run);
