"""What a session keeps in memory: idle with ten users, and with a thousand active ones."""

import time
from collections.abc import Iterator
from random import Random
from typing import Final
from uuid import UUID

import msgspec

from conductor_actors.simulate.wire import LIVE, REACTION
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
    idle, active = (2_000, 20) if bench.is_quick else (10_000, 200)
    bytes_each = [_rss(bench.world, size, IDLE_USERS) for size in (int(idle * FEW), idle)]
    each_kb = (bytes_each[1] - bytes_each[0]) / idle / (1 - FEW) / 1000
    what = f"memory of an idle session with {IDLE_USERS} users"
    note = f"RSS of {idle:,} sessions less that of {idle * FEW:,.0f}; ids are UUIDs"
    yield Figure(what, "KB", (each_kb,), target=Target(6, "KB"), note=note)
    sizes = (int(active * FEW), active)
    bytes_each = [_rss(bench.world, size, ACTIVE_USERS, reacts=True) for size in sizes]
    each_b = (bytes_each[1] - bytes_each[0]) / active / (1 - FEW) / ACTIVE_USERS
    what = f"memory of a user, {ACTIVE_USERS:,} active in a session"
    note = f"the same, {active:,} sessions; each user has joined and reacted"
    yield Figure(what, "B", (each_b,), target=Target(250, "B"), note=note)


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
