"""What only the owner of the events may write: the lease, its fence, and checkpoints."""
