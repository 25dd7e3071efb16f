"""Events as packed commands, made before anything is measured, and sent at once."""

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from conductor_actors.simulate import bulk
from tests.benchmarks.raw_redis import RawRedis, command

Event = tuple[str, bytes]  # name, body

CHUNK: Final = 1000
PUBLISHED_AT_ONCE: Final = 250


class Packed(NamedTuple):
    """Commands in chunks, each with how many it holds."""

    chunks: list[tuple[bytes, int]]
    events: int


def added(events: Iterable[Event], at_ms: int | None = None) -> Packed:
    """Pack XADDs: as of now when they are sent, or all as of one moment."""
    commands = (
        command("XADD", name, "*" if at_ms is None else f"{at_ms}-{number}", "data", body)
        for number, (name, body) in enumerate(events, 1)
    )
    return _packed(commands, CHUNK)


def published(events: Iterable[Event]) -> Packed:
    """Pack PUBLISHes."""
    commands = (command("PUBLISH", name, body) for name, body in events)
    return _packed(commands, PUBLISHED_AT_ONCE)


def hot(events: int, session: str, seed: int) -> Iterator[Event]:
    """Give events that all go to one session."""
    for name, body in bulk(events, 1, seed):
        yield name, body.replace(b'"bulk-0"', f'"{session}"'.encode())


def send(url: str, packed: Packed, per_s: float | None = None) -> None:
    """Send it all, as fast as the server takes it or at a rate."""
    with RawRedis(url) as line:
        began_s, sent = time.monotonic(), 0
        for chunk, commands in packed.chunks:
            line.pipeline(chunk, commands)
            sent += commands
            if per_s is not None:
                time.sleep(max(0.0, began_s + sent / per_s - time.monotonic()))


def _packed(commands: Iterator[bytes], size: int) -> Packed:
    chunks = []
    while chunk := list(islice(commands, size)):
        chunks.append((b"".join(chunk), len(chunk)))
    return Packed(chunks, sum(count for _, count in chunks))
