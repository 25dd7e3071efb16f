"""The runtime of actors: mailboxes, the dispatcher with its run queue, and base classes."""
