"""TimescaleDB and PostgreSQL: connections, migrations, and the stored rows."""
