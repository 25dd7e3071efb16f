"""What is read of sessions and events afterwards, over connections of its own."""
