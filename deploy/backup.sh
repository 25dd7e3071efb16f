#!/usr/bin/env bash
# Usage: backup.sh URL FILE
# Back up the whole database to FILE as one consistent snapshot; writers continue meanwhile. Connect
# as the owner. Needs a pg_dump at least as new as the server.
set -euo pipefail
umask 077

pg_dump --dbname "$1" --format custom --file "$2.part"
mv "$2.part" "$2" # FILE exists only once it is complete
