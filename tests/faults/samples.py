"""What was seen of something that goes on, and when."""

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

LOOK_S: Final = 0.05
UPDATES: Final = "engagement:update"


class Samples(Generic[T]):
    """What was seen, each with its moment (monotonic seconds). Grows while others look."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, T]] = []

    def add(self, value: T) -> None:
        self.seen.append((monotonic(), value))

    def between(self, since_s: float, until_s: float) -> list[T]:
        return [value for at_s, value in self.seen if since_s <= at_s <= until_s]

    def first_s(self, holds: Callable[[T], bool]) -> float:
        """Say when something was first seen to hold; never is infinity."""
        return next((at_s for at_s, value in self.seen if holds(value)), inf)

    def longest_silence_s(self, since_s: float, until_s: float) -> float:
        """Say for how long nothing was seen."""
        moments = [at_s for at_s, _ in self.seen if since_s < at_s < until_s]
        return max(b - a for a, b in pairwise([since_s, *moments, until_s]))


class Update(msgspec.Struct, rename="camel"):
    """Of an update only which row it announces."""

    timestamp: str
    session_id: str


@contextmanager
def sampled(look: Callable[[], T], every_s: float = 0.1) -> Iterator[Samples[T]]:
    """Look again and again, as long as the block runs."""
    samples = Samples[T]()
    with _on_a_thread(lambda: samples.add(look()), every_s):
        yield samples


@contextmanager
def updates(url: str) -> Iterator[Samples[Update]]:
    """Hear what is announced, as long as the block runs."""
    samples = Samples[Update]()
    decoder = msgspec.json.Decoder(Update)
    with redis.Redis.from_url(url) as client, client.pubsub() as pubsub:
        pubsub.subscribe(UPDATES)

        def hear() -> None:
            while message := pubsub.get_message(timeout=LOOK_S):
                if message["type"] == "message":
                    samples.add(decoder.decode(message["data"]))

        with _on_a_thread(hear, every_s=0.0):
            yield samples


def memory_mb(program: Program) -> Callable[[], float]:
    """Make a look at what a program has in memory."""
    process = psutil.Process(program.pid)
    return lambda: round(process.memory_info().rss / 1e6, 1)


def pause(seconds: float) -> None:
    """Let time pass: an experiment's own measure."""
    Event().wait(seconds)


def waited(holds: Callable[[], bool], within_s: float) -> bool:
    """Wait until something holds; tell whether it came to that."""
    until_s = monotonic() + within_s
    while not holds():
        if monotonic() > until_s:
            return False
        pause(LOOK_S)
    return True


@contextmanager
def _on_a_thread(look: Callable[[], None], every_s: float) -> Iterator[None]:
    stop = Event()

    def run() -> None:
        while not stop.wait(every_s):
            look()

    thread = Thread(target=run, name="sampler")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
