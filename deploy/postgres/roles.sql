-- The roles of The Eye, and what each may do. Run by a superuser in the database, before or after the first `eye migrate`, any
-- number of times. No role has a password here: `alter role eye_sinks password '...'`, or a client certificate.
do $$
declare
    name text;
begin
    foreach name in array array['eye_migrate', 'eye_sinks', 'eye_gateway', 'eye_operator'] loop
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

-- eye_sinks writes rows and positions, deletes what a replay replaced or has expired, and makes and drops monthly partitions
-- through functions of the owner's: `eye sinks`, `eye retention`.
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

-- eye_operator is for people: `eye lag`, `ledger`, `trace`, `doctor`, `replay`, `redrive` and `retention` read and write as the
-- sinks do
grant eye_sinks to eye_operator;
