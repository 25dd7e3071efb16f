"""A steady load of events."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final

import redis

from conductor_actors.simulate import bulk

SESSIONS: Final = 50
INTERVAL_S: Final = 0.02
EVENTS_PER_INTERVAL: Final = 50


@contextmanager
def event_load(url: str) -> Iterator[None]:
    """Add 2,500 events a second to the streams until the block ends."""
    stop = threading.Event()
    events = bulk(1_000_000, sessions=SESSIONS)

    def add() -> None:
        with redis.Redis.from_url(url) as client, client.pipeline(transaction=False) as pipeline:
            while not stop.wait(INTERVAL_S):
                for name, body in islice(events, EVENTS_PER_INTERVAL):
                    pipeline.xadd(name, {"data": body})
                pipeline.execute()

    thread = threading.Thread(target=add)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
