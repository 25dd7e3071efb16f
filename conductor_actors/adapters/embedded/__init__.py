"""The embedded Valkey and PostgreSQL, for whoever has set no URL."""
