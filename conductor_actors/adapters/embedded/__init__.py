"""The embedded Valkey and PostgreSQL, for a program that has no servers of its own."""
