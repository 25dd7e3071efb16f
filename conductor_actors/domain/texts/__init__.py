"""Texts that people and programs send: what is accepted, and how times are read."""
