-- Only a table's owner can detach and drop partitions. So that the sinks' role need not own the tables, these functions
-- act as the owner does, and take nothing but a monthly partition of eye.events.
create function eye.detach_event_partition(partition text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if partition !~ '^events_\d{4}_\d{2}$' then
        raise exception '% is no monthly partition of eye.events', partition using errcode = 'invalid_parameter_value';
    end if;
    execute format('alter table eye.events detach partition eye.%I', partition);
end
$$;

create function eye.drop_event_partition(partition text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if partition !~ '^events_\d{4}_\d{2}$' then
        raise exception '% is no monthly partition of eye.events', partition using errcode = 'invalid_parameter_value';
    end if;
    if (select relispartition from pg_class where oid = to_regclass(format('eye.%I', partition))) then
        raise exception 'partition % is still attached', partition using errcode = 'object_in_use';
    end if;
    execute format('drop table eye.%I', partition);
end
$$;

comment on function eye.detach_event_partition is 'Detaches a monthly partition of eye.events, for retention.';
comment on function eye.drop_event_partition is 'Drops a monthly partition of eye.events that was detached, for retention.';

revoke execute on function eye.detach_event_partition(text) from public;
revoke execute on function eye.drop_event_partition(text) from public;
