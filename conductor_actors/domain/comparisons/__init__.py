"""Compare what is stored with what a replay of the same entries gives."""
