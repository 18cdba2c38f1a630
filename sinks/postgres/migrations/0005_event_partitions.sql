-- Makes the monthly partitions of eye.events from last month to so many months ahead, and returns the names of
-- those made now. Rows that the default partition holds of such a month are moved. Any number of times, several
-- at once. Where one is missing, writers wait while it is made: whoever had taken its rows for the default
-- partition's before would find them refused there. Readers wait only for the default partition.
create function eye.make_event_partitions(ahead_months int) returns setof text
language plpgsql as $$
declare
    this_month constant timestamp := date_trunc('month', now() at time zone 'UTC');
    month timestamp;
    first_moment timestamptz;
    end_moment timestamptz;
    partition text;
begin
    for ahead in -1..ahead_months loop
        month := this_month + make_interval(months => ahead);
        partition := to_char(month, '"events_"YYYY_MM');
        continue when to_regclass('eye.' || partition) is not null;
        lock table only eye.events in share row exclusive mode;
        continue when to_regclass('eye.' || partition) is not null;
        first_moment := month at time zone 'UTC';
        end_moment := (month + interval '1 month') at time zone 'UTC';
        execute format('create table eye.%I (like eye.events including all excluding indexes)', partition);
        lock table eye.events_default in access exclusive mode;
        execute format(
            'with moved as (delete from eye.events_default where occurred_at >= $1 and occurred_at < $2 returning *)'
            ' insert into eye.%I select * from moved', partition) using first_moment, end_moment;
        execute format('alter table eye.events attach partition eye.%I for values from (%L) to (%L)',
            partition, first_moment, end_moment);
        return next partition;
    end loop;
end
$$;

comment on function eye.make_event_partitions is 'Makes the monthly partitions of eye.events that are needed soon.';
