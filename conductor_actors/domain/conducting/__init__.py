"""What the conductor of a session does at a tick: the step from a row to the row with it."""
