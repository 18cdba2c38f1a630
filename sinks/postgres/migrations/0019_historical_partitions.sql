-- Makes the partition of a month of the past, moves the rows that the default partition of eye.events has of it, and returns
-- its name; null where it is there. It acts as the owner does. Any number of times, several at once. Writers wait while rows are
-- moved, readers only for the default partition.
create function eye.make_historical_partition(moment timestamptz) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    month constant timestamp := date_trunc('month', moment at time zone 'UTC');
    first_moment constant timestamptz := month at time zone 'UTC';
    end_moment constant timestamptz := (month + interval '1 month') at time zone 'UTC';
    partition constant text := to_char(month, '"events_"YYYY_MM');
begin
    if end_moment > now() then
        raise exception 'the month of % is not over', moment using errcode = 'invalid_parameter_value';
    end if;
    lock table only eye.events in share row exclusive mode;
    if to_regclass('eye.' || partition) is not null then
        return null;
    end if;
    execute format('create table eye.%I (like eye.events including all excluding indexes)', partition);
    lock table eye.events_default in access exclusive mode;
    execute format(
        'with moved as (delete from eye.events_default where occurred_at >= $1 and occurred_at < $2 returning *)'
        ' insert into eye.%I select * from moved', partition) using first_moment, end_moment;
    execute format('alter table eye.events attach partition eye.%I for values from (%L) to (%L)',
        partition, first_moment, end_moment);
    return partition;
end
$$;

comment on function eye.make_historical_partition is 'Makes the partition of a month of the past that the default one has rows of.';

revoke execute on function eye.make_historical_partition(timestamptz) from public;
