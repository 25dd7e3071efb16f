#!/usr/bin/env bash
# Usage: restore.sh FILE URL
# Restore FILE into the empty database that roles.sql creates; FILE contains no roles. Connect as a
# superuser, who alone may write TimescaleDB's own tables. Needs a pg_restore at least as new as the
# pg_dump that wrote FILE.
set -euo pipefail

run() { psql --dbname "$2" --no-psqlrc --quiet --set ON_ERROR_STOP=1 --command "$1" >/dev/null; }

has_timescaledb=$(pg_restore --list "$1" | grep -c ' EXTENSION - timescaledb' || true)
if [ "$has_timescaledb" != 0 ]; then
  run 'CREATE EXTENSION IF NOT EXISTS timescaledb' "$2"
  run 'SELECT timescaledb_pre_restore()' "$2"
fi
pg_restore --dbname "$2" --exit-on-error "$1"
[ "$has_timescaledb" = 0 ] || run 'SELECT timescaledb_post_restore()' "$2"
run 'ANALYZE' "$2"
