"""What every checkpoint store promises, fake or real."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
import redis

from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.key_names import CHECKPOINT_KEY, CHECKPOINT_SESSIONS_KEY
from conductor_actors.adapters.redis.ownership.checkpoint_store import (
    SESSIONS_PER_COMMAND,
    RedisCheckpointStore,
)
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.ports import Checkpoint, CheckpointStore
from tests.support.fakes.memory_checkpoints import MemoryCheckpoints
from tests.support.fences import take_ownership

ODD = "a/b:c\n\x00\u2028" + "x" * 240
FIRST = Checkpoint(
    b"header",
    {
        SessionKey("default", "s"): b"\x00\xff",
        SessionKey("acme", "s"): b"",
        SessionKey("acme", ODD): b"odd",
    },
    is_full=True,
)


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[CheckpointStore]:
    if request.param == "memory":
        yield MemoryCheckpoints()
        return
    url = request.getfixturevalue("valkey_url")
    with closing(RedisCheckpointStore(url, take_ownership(url))) as real:
        yield real


def load(store: CheckpointStore) -> tuple[bytes, dict[SessionKey, bytes]]:
    found = store.load()
    assert found is not None
    assert (found.is_full, list(found.ended)) == (True, [])
    return found.header, dict(found.sessions)


def test_an_empty_store_has_no_checkpoint(store: CheckpointStore) -> None:
    assert store.load() is None


def test_a_committed_checkpoint_is_loaded(store: CheckpointStore) -> None:
    assert store.commit(FIRST)
    assert load(store) == (FIRST.header, FIRST.sessions)


def test_the_next_checkpoint_adds_changed_sessions_and_removes_ended_ones(
    store: CheckpointStore,
) -> None:
    store.commit(FIRST)
    changed = {SessionKey("default", "s"): b"new", SessionKey("globex", "t"): b"born"}
    assert store.commit(
        Checkpoint(b"next", changed, [SessionKey("acme", ODD), SessionKey("never", "seen")])
    )
    assert load(store) == (b"next", changed | {SessionKey("acme", "s"): b""})


def test_a_full_checkpoint_replaces_all_before_it(store: CheckpointStore) -> None:
    store.commit(FIRST)
    assert store.commit(Checkpoint(b"next", {SessionKey("default", "t"): b"1"}, is_full=True))
    assert load(store) == (b"next", {SessionKey("default", "t"): b"1"})


def test_a_checkpoint_that_is_not_full_needs_one_to_add_to(store: CheckpointStore) -> None:
    assert not store.commit(FIRST._replace(is_full=False))
    assert store.load() is None


def test_a_checkpoint_that_is_not_full_is_not_added_to_an_older_one(
    client: redis.Redis, valkey_url: str
) -> None:
    """As after a failover that has lost the last one: its changes would be missing."""
    keys = (CHECKPOINT_KEY, CHECKPOINT_SESSIONS_KEY)
    session = SessionKey("default", "s")
    with closing(RedisCheckpointStore(valkey_url, take_ownership(valkey_url))) as store:
        store.commit(FIRST)
        older = {key: client.dump(key) or b"" for key in keys}
        assert store.commit(Checkpoint(b"lost", {session: b"lost"}))
        for key, value in older.items():
            client.restore(key, 0, value, replace=True)
        assert not store.commit(Checkpoint(b"next", {}))
        assert load(store) == (FIRST.header, FIRST.sessions)
        assert store.commit(Checkpoint(b"next", {session: b"lost"}, is_full=True))


def test_the_next_checkpoint_is_added_whether_one_that_failed_was_stored_or_not(
    valkey_url: str,
) -> None:
    fence = take_ownership(valkey_url)
    with closing(RedisCheckpointStore(valkey_url, fence)) as store:
        store.commit(FIRST)
        run = fence.transaction

        def lose_reply(*args: Any) -> Sequence[Any]:
            run(*args)
            raise Unavailable("the reply was lost")

        def never_arrive(*_: Any) -> Sequence[Any]:
            raise Unavailable("the connection was refused")

        session = SessionKey("default", "s")
        for number, transaction in enumerate((lose_reply, never_arrive)):
            fence.transaction = transaction  # type: ignore[method-assign, assignment]
            with pytest.raises(Unavailable):
                store.commit(Checkpoint(b"failed %d" % number, {session: b"failed"}))
            fence.transaction = run  # type: ignore[method-assign]
            next_one = Checkpoint(b"next %d" % number, {session: b"%d" % number})
            assert store.commit(next_one)
            assert load(store) == (next_one.header, {**FIRST.sessions, **next_one.sessions})


def test_a_new_process_adds_to_the_checkpoint_that_it_has_loaded(valkey_url: str) -> None:
    with closing(RedisCheckpointStore(valkey_url, take_ownership(valkey_url))) as store:
        store.commit(FIRST)
    with closing(RedisCheckpointStore(valkey_url, take_ownership(valkey_url))) as store:
        assert not store.commit(Checkpoint(b"next", {}))
        store.load()
        assert store.commit(Checkpoint(b"next", {}))


def test_a_checkpoint_may_have_no_sessions(store: CheckpointStore) -> None:
    assert store.commit(Checkpoint(b"header", {}, is_full=True))
    assert load(store) == (b"header", {})
    assert store.commit(Checkpoint(b"next", {}))
    assert load(store) == (b"next", {})


def test_thousands_of_sessions_are_added_and_removed_at_once(store: CheckpointStore) -> None:
    sessions = {
        SessionKey("acme", f"s{number}"): b"%d" % number
        for number in range(5 * SESSIONS_PER_COMMAND + 1)
    }
    store.commit(Checkpoint(b"header", sessions, is_full=True))
    assert load(store) == (b"header", sessions)
    store.commit(Checkpoint(b"next", {}, list(sessions)[1:]))
    assert load(store) == (b"next", {SessionKey("acme", "s0"): b"0"})


def test_the_keys_are_those_that_operators_are_told_to_delete(
    client: redis.Redis, valkey_url: str
) -> None:
    with closing(RedisCheckpointStore(valkey_url, take_ownership(valkey_url, 41))) as store:
        store.commit(FIRST)
        assert {CHECKPOINT_KEY.encode(), CHECKPOINT_SESSIONS_KEY.encode()} < set(
            pipeline(client, [("KEYS", "*")])[0]
        )
        assert pipeline(client, [("HGET", CHECKPOINT_KEY, "fence")]) == [b"41"]
        client.delete(CHECKPOINT_KEY, CHECKPOINT_SESSIONS_KEY)
        assert store.load() is None


def test_a_former_owner_commits_nothing(client: redis.Redis, valkey_url: str) -> None:
    with closing(RedisCheckpointStore(valkey_url, take_ownership(valkey_url, 7))) as store:
        store.commit(FIRST)
        take_ownership(valkey_url, 8)
        with pytest.raises(OwnershipLost):
            store.commit(
                Checkpoint(
                    b"late", {SessionKey("default", "late"): b""}, [SessionKey("default", "s")]
                )
            )
        assert load(store) == (FIRST.header, FIRST.sessions)
    assert pipeline(client, [("HGET", CHECKPOINT_KEY, "fence")]) == [b"7"]


def test_a_key_of_the_wrong_type_is_named(client: redis.Redis, valkey_url: str) -> None:
    client.lpush(CHECKPOINT_KEY, "x")
    with closing(RedisCheckpointStore(valkey_url, take_ownership(valkey_url))) as store:
        for call in (store.load, lambda: store.commit(FIRST)):
            with pytest.raises(ConfigError, match=CHECKPOINT_KEY):
                call()


def test_every_call_raises_unavailable_while_redis_is_away() -> None:
    with closing(RedisCheckpointStore("redis://127.0.0.1:1/0", Fence())) as store:
        for call in (store.load, lambda: store.commit(FIRST)):
            with pytest.raises(Unavailable, match="Connection refused"):
                call()
