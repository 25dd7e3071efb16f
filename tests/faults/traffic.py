"""Seeded events that a thread adds to the streams, also across outages of Redis."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from heapq import heappop, heappush
from itertools import count
from random import Random
from threading import Event, Thread
from typing import Final, Protocol, TypeAlias

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from conductor_actors.simulate import Simulation

STEP_S: Final = 0.05
ANSWER_WITHIN_S: Final = 1.0
SIMULATED_SESSION: Final = "keynote-opening"  # a session of every simulation

Sent: TypeAlias = tuple[str, bytes]  # Redis name, body


class Feed(Protocol):
    """A source of events."""

    def step(self, dt_s: float) -> Sequence[Sent]:
        """Return what is sent within the next so many seconds."""


class Simulated:
    """A simulation of sessions at a multiple of real time."""

    def __init__(self, sessions: int, speed: float, seed: int = 4) -> None:
        self._simulation = Simulation(sessions, seed)
        self._speed = speed
        self._at_s = 0.0

    def step(self, dt_s: float) -> Sequence[Sent]:
        began_s, self._at_s = self._at_s, self._at_s + dt_s * self._speed
        return self._simulation.step(began_s, self._at_s - began_s)


class DuplicatedInDisorder:
    """The events of another feed, each sent twice, each time up to `late_s` late."""

    def __init__(self, feed: Feed, late_s: float, seed: int = 4) -> None:
        self._feed = feed
        self._late_s = late_s
        self._chance = Random(seed)
        self._number = count()
        self._now_s = 0.0
        self._pending: list[tuple[float, int, Sent]] = []

    def step(self, dt_s: float) -> Sequence[Sent]:
        self._now_s += dt_s
        for sent in self._feed.step(dt_s):
            for _ in range(2):
                due_s = self._now_s + self._chance.random() * self._late_s
                heappush(self._pending, (due_s, next(self._number), sent))
        arrived = []
        while self._pending and self._pending[0][0] <= self._now_s:
            arrived.append(heappop(self._pending)[2])
        return arrived


def by_redis() -> str:
    """Let Redis choose an entry's id."""
    return "*"


@contextmanager
def sending_events(url: str, feed: Feed, entry_id: Callable[[], str] = by_redis) -> Iterator[None]:
    """Add the feed's events until the block ends; repeat what Redis has not confirmed.

    An event whose reply was lost is in its stream twice: tests compare with the streams.
    """
    stop = Event()
    thread = Thread(target=_send, args=(url, feed, entry_id, stop), name="traffic")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def impatient_client(url: str) -> redis.Redis:
    """Make a client with a short timeout and without retries."""
    at_once = Retry(NoBackoff(), 0)
    return redis.Redis.from_url(url, socket_timeout=ANSWER_WITHIN_S, retry=at_once)


def add(client: redis.Redis, events: Sequence[Sent], entry_id: str = "*") -> None:
    """Add events to their streams, in one round trip."""
    with client.pipeline(transaction=False) as pipeline:
        for name, body in events:
            pipeline.xadd(name, {"data": body}, entry_id)
        pipeline.execute()


def _send(url: str, feed: Feed, entry_id: Callable[[], str], stop: Event) -> None:
    unsent: Sequence[Sent] = ()
    with impatient_client(url) as client:
        while not stop.wait(STEP_S):
            unsent = unsent or feed.step(STEP_S)
            try:
                add(client, unsent, entry_id())
            except (redis.ConnectionError, redis.TimeoutError):
                continue
            unsent = ()
