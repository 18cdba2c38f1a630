-- Only a table's owner can make partitions of it. So that writers need not own the tables, the function acts as the owner
-- does, whoever calls it, and finds nothing but what it names.
alter function eye.make_event_partitions(int) security definer;
alter function eye.make_event_partitions(int) set search_path = pg_catalog, pg_temp;
revoke execute on function eye.make_event_partitions(int) from public;
