-- The newest summary of each session. Updated with every chunk that has events of it: the free space keeps most
-- updates on their page, off the indexes.
create table eye.sessions (
    session_id text collate "C" primary key,
    applications text[] not null,
    revision bigint not null,
    status text collate "C" not null,
    started_at timestamptz,
    ended_at timestamptz,
    event_count bigint not null,
    rejected_count bigint not null,
    counts_by_type jsonb not null,
    first_event_id text,
    last_event_id text,
    updated_at timestamptz not null
) with (fillfactor = 80);

comment on table eye.sessions is 'The newest summary of each session.';
comment on column eye.sessions.revision is 'Grows with every change; an older summary never replaces a newer one.';

create index sessions_by_time on eye.sessions (started_at, session_id);
create index sessions_by_status on eye.sessions (status, started_at);
