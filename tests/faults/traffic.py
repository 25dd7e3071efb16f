"""Seeded events on their way into the streams, from a thread, whatever happens to Redis."""

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
SOMEBODY: Final = "keynote-opening"  # a session of every simulation

Sent: TypeAlias = tuple[str, bytes]  # Redis name, body


class Feed(Protocol):
    """Where events come from."""

    def step(self, dt_s: float) -> Sequence[Sent]:
        """Give what is sent within the next so many seconds."""


class Simulated:
    """People in sessions, who live so many times faster than we do."""

    def __init__(self, sessions: int, speed: float, seed: int = 4) -> None:
        self._simulation = Simulation(sessions, seed)
        self._speed = speed
        self._at_s = 0.0

    def step(self, dt_s: float) -> Sequence[Sent]:
        began_s, self._at_s = self._at_s, self._at_s + dt_s * self._speed
        return self._simulation.step(began_s, self._at_s - began_s)


class TwiceInDisorder:
    """Another feed's events, each of them twice, each up to so many seconds late."""

    def __init__(self, feed: Feed, late_s: float, seed: int = 4) -> None:
        self._feed = feed
        self._late_s = late_s
        self._chance = Random(seed)
        self._number = count()
        self._now_s = 0.0
        self._under_way: list[tuple[float, int, Sent]] = []

    def step(self, dt_s: float) -> Sequence[Sent]:
        self._now_s += dt_s
        for sent in self._feed.step(dt_s):
            for _ in range(2):
                due_s = self._now_s + self._chance.random() * self._late_s
                heappush(self._under_way, (due_s, next(self._number), sent))
        arrived = []
        while self._under_way and self._under_way[0][0] <= self._now_s:
            arrived.append(heappop(self._under_way)[2])
        return arrived


def by_redis() -> str:
    """Let Redis choose an entry's id."""
    return "*"


@contextmanager
def flowing(url: str, feed: Feed, entry_id: Callable[[], str] = by_redis) -> Iterator[None]:
    """Add the feed's events as long as the block runs, each until Redis says that it has it.

    One whose answer got lost is there twice: the streams' content is the truth, not ours.
    """
    stop = Event()
    thread = Thread(target=_flow, args=(url, feed, entry_id, stop), name="traffic")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def impatient_client(url: str) -> redis.Redis:
    """Make a client that never waits long and never tries again by itself."""
    at_once = Retry(NoBackoff(), 0)
    return redis.Redis.from_url(url, socket_timeout=ANSWER_WITHIN_S, retry=at_once)


def add(client: redis.Redis, events: Sequence[Sent], entry_id: str = "*") -> None:
    """Add events to their streams, in one round trip."""
    with client.pipeline(transaction=False) as pipeline:
        for name, body in events:
            pipeline.xadd(name, {"data": body}, entry_id)
        pipeline.execute()


def _flow(url: str, feed: Feed, entry_id: Callable[[], str], stop: Event) -> None:
    unsent: Sequence[Sent] = ()
    with impatient_client(url) as client:
        while not stop.wait(STEP_S):
            unsent = unsent or feed.step(STEP_S)
            try:
                add(client, unsent, entry_id())
            except (redis.ConnectionError, redis.TimeoutError):
                continue
            unsent = ()
