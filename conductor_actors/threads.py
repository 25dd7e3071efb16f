"""Threads that work for the same partition as the thread that makes them."""

import threading
from collections.abc import Callable
from contextvars import copy_context


def inheriting_thread(target: Callable[[], object], name: str) -> threading.Thread:
    """Return a daemon thread, not yet started, that runs in a copy of the caller's context.

    So its log events have the partition of the caller; see `log_events.of_partition`.
    """
    return threading.Thread(target=copy_context().run, args=(target,), name=name, daemon=True)
