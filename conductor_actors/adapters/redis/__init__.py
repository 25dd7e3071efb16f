"""Redis and Valkey: one module per port, on one client."""
