"""How charts show what was scored."""
