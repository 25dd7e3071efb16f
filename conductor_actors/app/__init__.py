"""Composition: which actors and adapters make up a process, and how it starts and stops."""
