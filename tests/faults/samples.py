"""Values observed over time, with the moment of each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from math import inf
from threading import Event, Thread
from time import monotonic
from typing import Final, Generic, TypeVar

import msgspec
import psutil  # type: ignore[import-untyped]
import redis

from tests.support.programs import Program

T = TypeVar("T")

POLL_S: Final = 0.05
UPDATES: Final = "engagement:update"


class Samples(Generic[T]):
    """Observed values, each with its moment (monotonic seconds). Another thread adds to them."""

    def __init__(self) -> None:
        self.values: list[tuple[float, T]] = []

    def add(self, value: T) -> None:
        self.values.append((monotonic(), value))

    def between(self, since_s: float, until_s: float) -> list[T]:
        return [value for at_s, value in self.values if since_s <= at_s <= until_s]

    def first_s(self, holds: Callable[[T], bool]) -> float:
        """Return when a value first satisfied the condition, or infinity."""
        return next((at_s for at_s, value in self.values if holds(value)), inf)

    def longest_silence_s(self, since_s: float, until_s: float) -> float:
        """Return the longest time without a value."""
        moments = [at_s for at_s, _ in self.values if since_s < at_s < until_s]
        return max(b - a for a, b in pairwise([since_s, *moments, until_s]))


class Update(msgspec.Struct, rename="camel"):
    """The part of an update that identifies its row."""

    timestamp: str
    session_id: str


@contextmanager
def sampling(sample: Callable[[], T], interval_s: float = 0.1) -> Iterator[Samples[T]]:
    """Take a sample at each interval, until the block ends."""
    samples = Samples[T]()
    with _on_a_thread(lambda: samples.add(sample()), interval_s):
        yield samples


@contextmanager
def updates(url: str) -> Iterator[Samples[Update]]:
    """Record the published updates, until the block ends."""
    samples = Samples[Update]()
    decoder = msgspec.json.Decoder(Update)
    with redis.Redis.from_url(url) as client, client.pubsub() as pubsub:
        pubsub.subscribe(UPDATES)

        def receive() -> None:
            while message := pubsub.get_message(timeout=POLL_S):
                if message["type"] == "message":
                    samples.add(decoder.decode(message["data"]))

        with _on_a_thread(receive, interval_s=0.0):
            yield samples


def memory_mb(program: Program) -> Callable[[], float]:
    """Return a function that measures the memory of a program."""
    process = psutil.Process(program.pid)
    return lambda: round(process.memory_info().rss / 1e6, 1)


def pause(seconds: float) -> None:
    """Wait for a duration that the experiment is about."""
    Event().wait(seconds)


@contextmanager
def _on_a_thread(sample: Callable[[], None], interval_s: float) -> Iterator[None]:
    stop = Event()

    def run() -> None:
        while not stop.wait(interval_s):
            sample()

    thread = Thread(target=run, name="sampler")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
