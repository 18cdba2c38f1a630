-- How far each sink has come, advanced in the transaction that stores the rows. Updated with every chunk:
-- the free space keeps the updates on their page, off the index.
create table eye.sink_positions (
    sink text not null,
    topic text not null,
    partition int not null,
    next_offset bigint not null,
    row_count bigint not null default 0,
    updated_at timestamptz not null default now(),
    primary key (sink, topic, partition)
) with (fillfactor = 25);

comment on table eye.sink_positions is 'How far each sink has come in each partition, in step with the rows.';
comment on column eye.sink_positions.next_offset is 'The next offset to be read; the rows of all before it are stored.';
comment on column eye.sink_positions.row_count is 'Rows stored so far; what was there already does not count.';
