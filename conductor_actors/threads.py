"""Threads that work for the same partition as the thread that makes them."""

import threading
from collections.abc import Callable
from contextvars import copy_context

from conductor_actors.log_events import current_partition


class InheritingThread(threading.Thread):
    """A daemon thread that runs in a copy of the context of the thread that makes it.

    So its log events have the same partition; see `log_events.of_partition`.
    """

    def __init__(self, target: Callable[[], object], name: str) -> None:
        super().__init__(target=copy_context().run, args=(target,), name=name, daemon=True)
        self.partition = current_partition()


def partition_threads(partition: str) -> list[threading.Thread]:
    """Return the running threads of a partition; of "", those of none."""
    return [
        thread
        for thread in threading.enumerate()
        if (thread.partition if isinstance(thread, InheritingThread) else "") == partition
    ]
