-- The roles of The Eye, and what each may do. Run by a superuser in the database, before or after the first `eye migrate`, any
-- number of times. No role has a password here: `alter role eye_sinks password '...'`, or a client certificate.
do $$
declare
    name text;
begin
    foreach name in array array['eye_migrate', 'eye_sinks', 'eye_gateway'] loop
        if to_regrole(name) is null then
            execute format('create role %I login', name);
        end if;
    end loop;
end
$$;

revoke create on schema public from public;

-- eye_migrate owns the schema and all that is in it: `eye migrate`
do $$ begin execute format('grant create on database %I to eye_migrate', current_database()); end $$;
create schema if not exists eye authorization eye_migrate;

-- eye_sinks writes rows and positions, deletes what a replay replaced, and makes partitions through a function of the owner's:
-- `eye sinks`. What retention drops is the owner's to drop: leave it to `eye retention`, run by eye_migrate.
do $$ begin execute format('grant temporary on database %I to eye_sinks', current_database()); end $$;
grant usage on schema eye to eye_sinks;
grant select, insert, update, delete on all tables in schema eye to eye_sinks;
grant execute on all functions in schema eye to eye_sinks;
alter default privileges for role eye_migrate in schema eye grant select, insert, update, delete on tables to eye_sinks;
alter default privileges for role eye_migrate in schema eye grant execute on functions to eye_sinks;

-- eye_gateway reads: EYE_POSTGRES_READ_DSN
grant usage on schema eye to eye_gateway;
grant select on all tables in schema eye to eye_gateway;
alter default privileges for role eye_migrate in schema eye grant select on tables to eye_gateway;
