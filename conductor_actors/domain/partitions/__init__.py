"""Partitions of the sessions: what the splitter writes for each, and which host runs which."""
