"""When: who handles which message on which thread, and what happens when it fails."""
