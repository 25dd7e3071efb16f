"""Events in: read from streams and received by pub/sub, as one source."""
