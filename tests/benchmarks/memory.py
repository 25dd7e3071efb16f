"""What a session keeps in memory: idle with ten users, and with a thousand active ones."""

import time
from collections.abc import Iterator
from random import Random
from typing import Final
from uuid import UUID

import msgspec

from conductor_actors.simulate.producer import LIVE, REACTION
from tests.benchmarks import events as made
from tests.benchmarks.events import Event
from tests.benchmarks.figures import Bench, Figure, Target
from tests.benchmarks.growth import AGO_S, WINDOW_S
from tests.benchmarks.world import World

IDLE_USERS: Final = 10
ACTIVE_USERS: Final = 1_000
FEW: Final = 0.1


def memory(bench: Bench) -> Iterator[Figure]:
    """RSS with many sessions, less that with a tenth: code and buffers are in both."""
    if not bench.is_quick:
        yield _idle(bench.world, 10_000)
    yield _active(bench.world, 20 if bench.is_quick else 200)


def _idle(world: World, sessions: int) -> Figure:
    few = int(sessions * FEW)
    bytes_more = _rss(world, sessions, IDLE_USERS) - _rss(world, few, IDLE_USERS)
    what = f"memory of an idle session with {IDLE_USERS} users"
    note = f"RSS of {sessions:,} sessions less that of {few:,}; ids are UUIDs"
    each_kb = bytes_more / (sessions - few) / 1000
    return Figure(what, "KB", (each_kb,), target=Target(6, "KB"), note=note)


def _active(world: World, sessions: int) -> Figure:
    few = int(sessions * FEW)
    bytes_more = _rss(world, sessions, ACTIVE_USERS, reacts=True)
    bytes_more -= _rss(world, few, ACTIVE_USERS, reacts=True)
    what = f"memory of a user, {ACTIVE_USERS:,} active in a session"
    note = f"the same, {sessions:,} sessions; each user has joined and reacted"
    each_b = bytes_more / (sessions - few) / ACTIVE_USERS
    return Figure(what, "B", (each_b,), target=Target(250, "B"), note=note)


def _rss(world: World, sessions: int, users: int, *, reacts: bool = False) -> int:
    """Let so many sessions begin, and unless they react be idle; give the collector's RSS."""
    world.clear()
    now_s = time.time()
    at_ms = None if reacts else int(now_s - AGO_S) * 1000
    made.send(world.redis_url, made.added(_joined(sessions, users, reacts=reacts), at_ms))
    with world.collecting(TICK_S="1") as collector:
        idle_ms = (now_s - AGO_S + WINDOW_S) * 1000
        collector.wait_tick(time.time() * 1000 if reacts else idle_ms, sessions)
        collector.tidy()
        return collector.rss_bytes()


def _joined(sessions: int, users: int, *, reacts: bool) -> Iterator[Event]:
    """Let everybody join, round by round, and then react."""
    dice = Random(0)
    people = [[_uuid(dice) for _ in range(users)] for _ in range(sessions)]
    rooms = [_uuid(dice) for _ in range(sessions)]
    for kind, name in (("user_join", LIVE), ("reaction", REACTION))[: 1 + reacts]:
        for user in range(users):
            for room, those in zip(rooms, people, strict=True):
                body = {"type": kind, "sessionId": room, "eventId": "e", "userId": those[user]}
                yield name, msgspec.json.encode(body)


def _uuid(dice: Random) -> str:
    return str(UUID(int=dice.getrandbits(128), version=4))
