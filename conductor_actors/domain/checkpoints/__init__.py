"""The format of checkpoints: how the position in the streams and the sessions are encoded."""
