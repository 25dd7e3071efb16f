#!/usr/bin/env bash
# backup.sh URL FILE: everything in the database, as of one moment, while it is written on. As the
# owner. Needs pg_dump of the server's version or a newer one.
set -euo pipefail
umask 077

pg_dump --dbname "$1" --format custom --file "$2.part"
mv "$2.part" "$2" # whoever finds FILE finds all of it
