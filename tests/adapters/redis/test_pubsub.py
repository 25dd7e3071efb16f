"""What is heard on pub/sub, what is dropped when it can't be kept, and what is said of gaps."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import chain, repeat
from time import monotonic

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.adapters.redis.client import open_client
from conductor_actors.adapters.redis.liveness import Deadlines
from conductor_actors.adapters.redis.pubsub import (
    Heard,
    PubSubListener,
    TenantBuffer,
)
from conductor_actors.adapters.redis.subscription import Subscriptions
from conductor_actors.domain.gaps import Gap
from conductor_actors.errors import ConfigError
from tests.support.hostile import CHAT, SYNC

FOREVER = float("inf")
KILOBYTE = b"x" * 1024
ONE_NAME = Subscriptions([SYNC])
IMPATIENT = Deadlines(quiet_s=0.02, pong_within_s=0.2, reconnect_within_s=0.02)

Listening = Callable[..., PubSubListener]


@pytest.fixture
def listening(valkey_url: str, redis_client: redis.Redis) -> Iterator[Listening]:
    del redis_client  # for its empty database
    with ExitStack() as stack:

        def start(
            subscriptions: Subscriptions = ONE_NAME, user: str = "", limit: int = 1000
        ) -> PubSubListener:
            client = open_client(valkey_url.replace("//", f"//{user}"))
            stack.callback(client.close)
            listener = PubSubListener(client, subscriptions, limit, IMPATIENT)
            stack.callback(listener.close)
            listener.wait_subscribed(5)
            return listener

        yield start


def heard_of(listener: PubSubListener, client: redis.Redis, count: int) -> list[Heard]:
    """Take so many messages; the server's answers are what time passes by."""
    heard: list[Heard] = []
    until_s = monotonic() + 10
    while len(heard) < count and monotonic() < until_s:
        client.ping()
        heard += listener.take(FOREVER)[0]
    return heard


def publish_until_heard(client: redis.Redis, body: bytes) -> None:
    """Publish until somebody was there to hear it."""
    until_s = monotonic() + 10
    while not client.publish(SYNC, body):
        assert monotonic() < until_s, "nobody subscribed again"


def message(number: float, body: bytes = b"") -> Heard:
    return Heard(number, CHAT, body)


def filled(limit: int, **waiting: int) -> TenantBuffer:
    kept = TenantBuffer(limit)
    for tenant, count in waiting.items():
        for number in range(count):
            kept.add(tenant, message(number, tenant.encode()))
    return kept


def test_messages_are_taken_in_the_order_they_were_heard_whoever_they_are_of() -> None:
    waiting = TenantBuffer(10)
    for number in range(6):
        waiting.add("acme" if number % 2 else "globex", message(number))
    assert [heard.at_s for heard in waiting.take(4)] == [0, 1, 2, 3]
    assert [heard.at_s for heard in waiting.take(FOREVER)] == [4, 5]
    assert waiting.take(FOREVER) == []


def test_past_the_limit_the_newest_of_who_floods_make_room() -> None:
    waiting = filled(10, flood=10, quiet=3)
    assert waiting.lost() == {"flood": 3}
    taken = waiting.take(FOREVER)
    assert [heard.at_s for heard in taken if heard.body == b"flood"] == list(range(7))
    assert [heard.at_s for heard in taken if heard.body == b"quiet"] == list(range(3))


def test_past_the_limit_who_floods_is_not_heard() -> None:
    waiting = filled(10, quiet=3, flood=100)
    assert waiting.lost() == {"flood": 93}
    assert waiting.lost() == {}
    assert [heard.at_s for heard in waiting.take(FOREVER) if heard.body == b"flood"] == [*range(7)]


def test_what_was_taken_makes_room() -> None:
    waiting = filled(10, flood=10)
    assert len(waiting.take(FOREVER)) == 10
    assert not waiting._queues
    assert not waiting._units
    waiting.add("flood", message(11))
    assert not waiting.lost()


def test_a_large_message_counts_as_so_many_kilobytes() -> None:
    waiting = TenantBuffer(10)
    for number in range(4):
        waiting.add("acme", message(number, KILOBYTE * 3))
    assert waiting.lost() == {"acme": 2}


def test_a_message_that_is_larger_than_all_that_may_wait_is_dropped() -> None:
    waiting = filled(10, acme=2)
    waiting.add("globex", message(3, KILOBYTE * 100))
    assert waiting.lost() == {"globex": 1}
    assert len(waiting.take(FOREVER)) == 2


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 5)),
            st.integers(0, 100),
        ),
        max_size=100,
    ),
    st.integers(1, 12),
)
def test_every_message_is_taken_or_counted_as_lost_and_the_limit_holds(
    steps: list[tuple[str, int] | int], limit: int
) -> None:
    waiting, added, taken, lost = (
        TenantBuffer(limit),
        Counter[str](),
        Counter[str](),
        Counter[str](),
    )
    for number, step in enumerate(steps):
        if isinstance(step, int):
            taken.update(heard.name for heard in waiting.take(step))
        else:
            tenant, kilobytes = step
            added[tenant] += 1
            waiting.add(tenant, Heard(number, tenant, KILOBYTE * kilobytes))
            lost += waiting.lost()
        kept = [heard for queue in waiting._queues.values() for heard in queue]
        assert sum(1 + len(heard.body) // 1024 for heard in kept) == waiting._total <= limit
    taken.update(heard.name for heard in waiting.take(FOREVER))
    assert taken + lost == added


def test_messages_of_channels_and_patterns_are_heard_in_order(
    listening: Listening, redis_client: redis.Redis
) -> None:
    listener = listening(Subscriptions([SYNC], ["*:sync-events"]))
    names = [SYNC, "acme:sync-events", "globex:sync-events"] * 100
    for number, name in enumerate(names):
        redis_client.publish(name, b"%d" % number)
    heard = heard_of(listener, redis_client, 300)
    assert [each[1:] for each in heard] == [
        (name, b"%d" % number) for number, name in enumerate(names)
    ]
    assert listener.take(FOREVER) == ([], [])


def test_a_flood_is_reported_with_the_number_of_messages_lost(
    listening: Listening, redis_client: redis.Redis
) -> None:
    listener = listening(Subscriptions([SYNC, "acme:sync-events"]), limit=100)
    for _ in range(500):
        redis_client.publish("acme:sync-events", b"")
    redis_client.publish(SYNC, b"quiet")
    while "default" not in listener._waiting._queues:
        redis_client.ping()
    heard, gaps = listener.take(FOREVER)
    assert [each.name for each in heard] == [*["acme:sync-events"] * 99, SYNC]
    assert [gap[:3] for gap in gaps] == [("acme", "flooded", 401)]


def test_a_killed_connection_is_made_again_and_the_gap_reported(
    listening: Listening, redis_client: redis.Redis
) -> None:
    listener = listening()
    assert listener.take(FOREVER) == ([], [])
    redis_client.client_kill_filter(_type="pubsub")
    publish_until_heard(redis_client, b"after")
    heard, gaps = list[Heard](), list[Gap]()
    until_s = monotonic() + 10
    while not heard and monotonic() < until_s:
        redis_client.ping()
        part, missing = listener.take(FOREVER)
        heard, gaps = heard + part, gaps + missing
    assert [each.body for each in heard] == [b"after"]
    assert [gap[:3] for gap in gaps] == [("*", "reconnected", None)]


def test_a_quiet_connection_is_kept(listening: Listening, redis_client: redis.Redis) -> None:
    listener = listening()
    until_s = monotonic() + 3 * IMPATIENT.pong_within_s
    while monotonic() < until_s:
        redis_client.ping()
        assert listener.take(FOREVER) == ([], [])
    assert redis_client.publish(SYNC, b"still there") == 1


def test_a_missing_permission_is_an_error_that_says_what_to_grant(
    listening: Listening, redis_client: redis.Redis
) -> None:
    redis_client.acl_setuser("deaf", enabled=True, nopass=True, commands=["+@all"], keys=["*"])
    try:
        with pytest.raises(ConfigError, match=r"REDIS_URL: .*channel.*&sync-events.*\+psubscribe"):
            listening(user="deaf:x@")
    finally:
        redis_client.acl_deluser("deaf")


def test_a_permission_that_is_taken_away_is_noticed(
    listening: Listening, redis_client: redis.Redis
) -> None:
    redis_client.acl_setuser(
        "deaf", enabled=True, nopass=True, commands=["+@all"], keys=["*"], channels=["*"]
    )
    try:
        listener = listening(user="deaf:x@")
        redis_client.acl_setuser("deaf", enabled=True, reset_channels=True)
        with pytest.raises(ConfigError, match="channel"):
            heard_of(listener, redis_client, 1)
    finally:
        redis_client.acl_deluser("deaf")


class Flood:
    """A connection on which there is always one more message; as the pool of itself, too."""

    def __init__(self) -> None:
        self._left = 200_000  # only who never stops reading comes to the end

    def get_connection(self) -> "Flood":
        return self

    def release(self, connection: object) -> None:
        del connection

    def disconnect(self) -> None:
        pass

    def pack_commands(self, commands: Iterable[object]) -> list[bytes]:
        del commands
        return []

    def send_packed_command(self, packed: Sequence[bytes]) -> None:
        del packed
        first: list[object] = [b"subscribe", SYNC.encode(), 1]
        others: list[object] = [b"message", SYNC.encode(), b"{}"]
        self._replies = chain([first], repeat(others))

    def can_read(self, timeout: float = 0) -> bool:
        del timeout
        return True

    def read_response(self, *, disconnect_on_error: bool = True) -> list[object]:
        del disconnect_on_error
        self._left -= 1
        assert self._left, "it never stopped reading"
        return next(self._replies)


def test_a_flood_without_a_pause_is_handed_out_all_the_same(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_client(valkey_url)) as client:
        flood = Flood()
        monkeypatch.setattr(client.connection_pool, "get_connection", flood.get_connection)
        monkeypatch.setattr(client.connection_pool, "release", flood.release)
        with closing(PubSubListener(client, ONE_NAME, 1000)) as listener:
            while not listener.take(FOREVER)[0]:
                pass
