#!/usr/bin/env bash
# Usage: restore.sh FILE URL
# Restore FILE into the empty database that roles.sql creates; FILE contains no roles. Connect as a
# superuser, who alone may write TimescaleDB's own tables. Needs a pg_restore at least as new as the
# pg_dump that wrote FILE.
set -euo pipefail
file=$1 url=$2

run() { psql --dbname "$url" --no-psqlrc --quiet -At --set ON_ERROR_STOP=1 --command "$1"; }
list() { # schemas and extensions; with -v, all others
  pg_restore --list "$file" | grep -E "$@" '^[0-9]+; [0-9]+ [0-9]+ (SCHEMA|EXTENSION) -' || true
}
restore() { pg_restore --dbname "$url" --exit-on-error "$@" "$file"; }

if list | grep -q ' EXTENSION - timescaledb'; then
  # An extension that came with the new database may live in another schema than that of FILE.
  run 'DROP EXTENSION IF EXISTS timescaledb'
  restore --use-list <(list)
  schema=$(run "SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'timescaledb'")
  run "SELECT $schema.timescaledb_pre_restore()" >/dev/null
  restore --use-list <(list -v)
  run "SELECT $schema.timescaledb_post_restore()" >/dev/null
else
  restore
fi
run 'ANALYZE'
