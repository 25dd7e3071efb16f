#!/usr/bin/env bash
# restore.sh FILE URL: into the empty database that roles.sql has made, as a superuser: the roles are
# not in FILE, and TimescaleDB's own tables are nobody else's. Needs pg_restore as new as the
# pg_dump that made FILE.
set -euo pipefail

ask() { psql --dbname "$2" --no-psqlrc --quiet --set ON_ERROR_STOP=1 --command "$1" >/dev/null; }

has_timescaledb=$(pg_restore --list "$1" | grep -c ' EXTENSION - timescaledb' || true)
if [ "$has_timescaledb" != 0 ]; then
  ask 'CREATE EXTENSION IF NOT EXISTS timescaledb' "$2"
  ask 'SELECT timescaledb_pre_restore()' "$2"
fi
pg_restore --dbname "$2" --exit-on-error "$1"
[ "$has_timescaledb" = 0 ] || ask 'SELECT timescaledb_post_restore()' "$2"
ask 'ANALYZE' "$2"
