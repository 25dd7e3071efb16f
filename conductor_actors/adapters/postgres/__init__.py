"""TimescaleDB and PostgreSQL: connections, migrations, and the rows."""
