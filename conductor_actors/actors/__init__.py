"""The actors: which thread handles which message, and what happens when a handler fails."""
