"""Checkpoints of the splitter: the newest to go on from, and earlier ones to go back to."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import redis

from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.adapters.redis.partitions import splitter_checkpoints
from conductor_actors.adapters.redis.partitions.splitter_checkpoints import (
    CHECKPOINTS_PER_PAGE,
    MAX_SPLITTER_CHECKPOINTS,
    MIN_SPLITTER_CHECKPOINTS,
    SplitterCheckpoint,
    SplitterCheckpoints,
)
from conductor_actors.domain.conductor.directives import Directives
from conductor_actors.domain.entries import RestampedEntry
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.intake_state import IntakeState
from conductor_actors.domain.partitions.blocks import Block, Interval
from conductor_actors.domain.partitions.splitting import FirstRead, SplitterState
from conductor_actors.errors import ConfigError, OwnershipLost
from tests.support.event_samples import CHAT
from tests.support.fences import take_ownership

KEY = "conductor:splitter"


@pytest.fixture
def fence(valkey_url: str) -> Fence:
    return take_ownership(valkey_url)


@pytest.fixture
def checkpoints(valkey_url: str, fence: Fence) -> Iterator[SplitterCheckpoints]:
    with closing(SplitterCheckpoints(valkey_url, fence)) as checkpoints:
        yield checkpoints


def at(ms: int, position: bytes = b"there") -> SplitterCheckpoint:
    return SplitterCheckpoint(position, SplitterState((ms, 0)))


def test_a_checkpoint_is_read_as_it_was_committed(checkpoints: SplitterCheckpoints) -> None:
    assert checkpoints.newest() is None
    assert checkpoints.newest_before((9, 0)) is None
    held = [(7, 0, CHAT, b"\xff"), RestampedEntry((99, 1, CHAT, b""), 7, 1)]
    state = SplitterState(
        (7, 0),
        Block.of(Interval((7, 0), (7, 0), 0), held),
        {3: (5, 0)},
        IntakeState(10_000, 5000, 6, (Gap("acme", "trimmed", 1, 2, 3),)),
        FirstRead(5, {"acme": Directives(modes={"e": "OFF"})}),
    )
    checkpoints.commit(at(6))
    checkpoints.commit(SplitterCheckpoint(b"\x00position", state))
    found = checkpoints.newest()
    assert found == SplitterCheckpoint(b"\x00position", state)
    assert found.state.held
    assert [getattr(entry, "id", None) for entry in found.state.held.entries()] == [None, (99, 1)]


def test_the_newest_that_is_not_after_a_moment_is_found(checkpoints: SplitterCheckpoints) -> None:
    moments = [0, 5, 5, 9, 7, *range(100, 100 + 3 * CHECKPOINTS_PER_PAGE)]
    for number, ms in enumerate(moments):
        checkpoints.commit(at(ms, b"%d" % number))
    found = [checkpoints.newest_before((ms, 0)) for ms in (0, 4, 5, 6, 8, 103, 999)]
    assert [each.position if each else None for each in found] == [
        *(b"0", b"0", b"2", b"2", b"4", b"8"),
        b"%d" % (len(moments) - 1),
    ]


def test_before_all_of_them_the_earliest_is_found(checkpoints: SplitterCheckpoints) -> None:
    for ms in (5, 9, 7):
        checkpoints.commit(at(ms))
    assert checkpoints.newest_before((4, 0)) == at(5)


def test_only_so_many_are_stored(
    checkpoints: SplitterCheckpoints, redis_client: redis.Redis
) -> None:
    for ms in range(MAX_SPLITTER_CHECKPOINTS + 3):
        checkpoints.commit(at(ms))
    assert redis_client.xlen(KEY) == MAX_SPLITTER_CHECKPOINTS
    assert checkpoints.newest_before((0, 0)) == at(3)


def test_of_large_ones_fewer_are_stored(
    checkpoints: SplitterCheckpoints, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitter_checkpoints, "MAX_SPLITTER_CHECKPOINTS_BYTES", 12_000)
    for size in (1000, 10_000):
        for ms in range(15):
            checkpoints.commit(at(ms, b"x" * size))
        assert redis_client.xlen(KEY) == (11 if size == 1000 else MIN_SPLITTER_CHECKPOINTS)


def test_those_before_one_that_can_t_be_read_do_not_count(
    checkpoints: SplitterCheckpoints, redis_client: redis.Redis
) -> None:
    checkpoints.commit(at(1))
    redis_client.xadd(KEY, {"version": "0", "data": b""})
    assert checkpoints.newest_before((5, 0)) is None
    checkpoints.commit(at(7))
    assert checkpoints.newest_before((5, 0)) == at(7)


def test_only_the_owner_adds_one(valkey_url: str, checkpoints: SplitterCheckpoints) -> None:
    checkpoints.commit(at(1))
    take_ownership(valkey_url, 8)
    with pytest.raises(OwnershipLost):
        checkpoints.commit(at(2))
    assert checkpoints.newest() == at(1)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"version": "2", "data": b""}, "is of format 2"),
        ({"version": "1", "data": b"\xc1"}, "can't be read"),
        ({"version": "1"}, "can't be read"),
    ],
)
def test_one_that_can_t_be_read_says_what_to_do(
    checkpoints: SplitterCheckpoints,
    redis_client: redis.Redis,
    fields: dict[Any, Any],
    what: str,
) -> None:
    redis_client.xadd(KEY, fields)
    with pytest.raises(ConfigError, match=f"{what}.+delete {KEY}"):
        checkpoints.newest()
