#!/bin/bash
# Run once by the image of Postgres, on a new database: the roles, each with its own password.
set -euo pipefail
in_database() { psql --set ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" "$@"; }

in_database --file /deploy/roles.sql
for role in migrate sinks gateway; do
  in_database --set role="eye_$role" --set password="$(cat "/run/secrets/$role")" \
    <<<"alter role :\"role\" password :'password'"
done
