"""Recorded events to replay, and the rows of a replay as CSV."""
