"""Partitions in Redis: their number, the blocks of each, and what their readers ask for."""
