#!/bin/sh
# Makes the passwords of this stack's database, once, and an empty list of keys. Each service is lent its own folder.
set -eu
cd /run/secrets
umask 077
password() { python -c 'import secrets; print(secrets.token_urlsafe(24))'; }

if [ ! -e complete ]; then
  mkdir -p postgres migrate sinks gateway
  password >postgres/superuser
  for role in migrate sinks gateway; do
    password >"postgres/$role"
    printf 'postgresql://eye_%s:%s@postgres/eye' "$role" "$(cat "postgres/$role")" >"$role/EYE_POSTGRES_DSN"
  done
  mv gateway/EYE_POSTGRES_DSN gateway/EYE_POSTGRES_READ_DSN
  chmod -R a+rX postgres # read there by another user, and mounted nowhere else
  touch complete
fi
touch /var/lib/eye/applications.toml
