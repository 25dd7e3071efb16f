"""How actors run here: a mailbox that outlives its actor, a dispatcher, and the base classes."""
