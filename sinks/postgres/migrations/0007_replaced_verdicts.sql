-- Raw records that were judged again, and by which run: of several verdicts on one the latest run's counts, in
-- whatever order they arrive. What the stream said at first is stored only where nothing stands here.
create table eye.replaced_verdicts (
    event_id uuid not null,
    application text collate "C" not null,
    source_partition int not null,
    source_offset bigint not null,
    run text collate "C" not null,
    redriven boolean not null,
    primary key (event_id, application, source_partition, source_offset)
);

comment on table eye.replaced_verdicts is 'Raw records whose first verdict was replaced, and the run that did.';
comment on column eye.replaced_verdicts.redriven is 'An operator mended the event: later runs leave it alone.';

create index replaced_verdicts_by_run on eye.replaced_verdicts (run);

alter table eye.rejected_events add column redriven_by text collate "C";

comment on column eye.rejected_events.redriven_by is 'The run of eye redrive that made it an event.';
