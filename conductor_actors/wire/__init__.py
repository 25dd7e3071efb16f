"""Bodies that other programs read: published, answered, sent and stored, each defined once."""
