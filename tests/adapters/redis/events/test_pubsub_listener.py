"""Received messages, those dropped from a full buffer, and the gaps reported."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import chain, repeat
from time import monotonic

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.liveness import Deadlines
from conductor_actors.adapters.redis.events import subscription
from conductor_actors.adapters.redis.events.pubsub_listener import (
    PubSubListener,
    ReceivedMessage,
    TenantBuffer,
)
from conductor_actors.adapters.redis.events.subscription import Subscriptions
from conductor_actors.domain.gaps import Gap
from conductor_actors.errors import ConfigError
from tests.support.event_samples import CHAT, SYNC
from tests.support.waiting import wait_until

ALWAYS = float("inf")
KILOBYTE = b"x" * 1024
ONE_NAME = Subscriptions([SYNC])
SHORT_DEADLINES = Deadlines(quiet_s=0.02, pong_within_s=0.2, reconnect_within_s=0.02)

Listening = Callable[..., PubSubListener]


@pytest.fixture
def listening(valkey_url: str) -> Iterator[Listening]:
    with ExitStack() as stack:

        def start(
            subscriptions: Subscriptions = ONE_NAME, user: str = "", limit: int = 1000
        ) -> PubSubListener:
            client = open_client(valkey_url.replace("//", f"//{user}"))
            stack.callback(client.close)
            listener = PubSubListener(client, subscriptions, limit, SHORT_DEADLINES)
            stack.callback(listener.close)
            listener.wait_subscribed(5)
            return listener

        yield start


def receive(listener: PubSubListener, client: redis.Redis, count: int) -> list[ReceivedMessage]:
    """Wait for so many messages."""
    heard: list[ReceivedMessage] = []
    until_s = monotonic() + 10
    while len(heard) < count and monotonic() < until_s:
        client.ping()
        heard += listener.pop_before(ALWAYS)[0]
    return heard


def publish_until_received(client: redis.Redis, body: bytes) -> None:
    """Publish until there is a subscriber."""
    until_s = monotonic() + 10
    while not client.publish(SYNC, body):
        assert monotonic() < until_s, "no subscription"


def message(number: float, body: bytes = b"") -> ReceivedMessage:
    return ReceivedMessage(number, CHAT, body)


def filled(limit: int, **messages: int) -> TenantBuffer:
    buffer = TenantBuffer(limit)
    for tenant, count in messages.items():
        for number in range(count):
            buffer.add(tenant, message(number, tenant.encode()))
    return buffer


def test_messages_of_all_tenants_are_returned_in_the_order_of_receipt() -> None:
    buffer = TenantBuffer(10)
    for number in range(6):
        buffer.add("acme" if number % 2 else "globex", message(number))
    assert [heard.received_s for heard in buffer.pop_before(4)] == [0, 1, 2, 3]
    assert [heard.received_s for heard in buffer.pop_before(ALWAYS)] == [4, 5]
    assert buffer.pop_before(ALWAYS) == []


def test_a_full_buffer_drops_the_newest_messages_of_the_tenant_that_floods() -> None:
    buffer = filled(10, flood=10, quiet=3)
    assert buffer.pop_dropped() == {"flood": 3}
    taken = buffer.pop_before(ALWAYS)
    assert [heard.received_s for heard in taken if heard.body == b"flood"] == list(range(7))
    assert [heard.received_s for heard in taken if heard.body == b"quiet"] == list(range(3))


def test_a_full_buffer_drops_further_messages_of_the_tenant_that_floods() -> None:
    buffer = filled(10, quiet=3, flood=100)
    assert buffer.pop_dropped() == {"flood": 93}
    assert buffer.pop_dropped() == {}
    assert [heard.received_s for heard in buffer.pop_before(ALWAYS) if heard.body == b"flood"] == [
        *range(7)
    ]


def test_removing_messages_makes_room() -> None:
    buffer = filled(10, flood=10)
    assert len(buffer.pop_before(ALWAYS)) == 10
    assert not buffer._queues
    assert not buffer._units
    buffer.add("flood", message(11))
    assert not buffer.pop_dropped()


def test_a_large_message_counts_by_its_kilobytes() -> None:
    buffer = TenantBuffer(10)
    for number in range(4):
        buffer.add("acme", message(number, KILOBYTE * 3))
    assert buffer.pop_dropped() == {"acme": 2}


def test_a_message_larger_than_the_buffer_is_dropped() -> None:
    buffer = filled(10, acme=2)
    buffer.add("globex", message(3, KILOBYTE * 100))
    assert buffer.pop_dropped() == {"globex": 1}
    assert len(buffer.pop_before(ALWAYS)) == 2


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
def test_every_message_is_returned_or_counted_as_dropped_and_the_limit_holds(
    steps: list[tuple[str, int] | int], limit: int
) -> None:
    buffer, added, taken, lost = (
        TenantBuffer(limit),
        Counter[str](),
        Counter[str](),
        Counter[str](),
    )
    for number, step in enumerate(steps):
        if isinstance(step, int):
            taken.update(heard.channel for heard in buffer.pop_before(step))
        else:
            tenant, kilobytes = step
            added[tenant] += 1
            buffer.add(tenant, ReceivedMessage(number, tenant, KILOBYTE * kilobytes))
            lost += buffer.pop_dropped()
        kept = [heard for queue in buffer._queues.values() for heard in queue]
        assert sum(1 + len(heard.body) // 1024 for heard in kept) == buffer._total <= limit
    taken.update(heard.channel for heard in buffer.pop_before(ALWAYS))
    assert taken + lost == added


def test_messages_of_channels_and_patterns_are_received_in_order(
    listening: Listening, redis_client: redis.Redis
) -> None:
    listener = listening(Subscriptions([SYNC], ["*:sync-events"]))
    names = [SYNC, "acme:sync-events", "globex:sync-events"] * 100
    for number, name in enumerate(names):
        redis_client.publish(name, b"%d" % number)
    heard = receive(listener, redis_client, 300)
    assert [each[1:] for each in heard] == [
        (name, b"%d" % number) for number, name in enumerate(names)
    ]
    assert listener.pop_before(ALWAYS) == ([], [])


def test_a_flood_is_reported_with_the_number_of_dropped_messages(
    listening: Listening, redis_client: redis.Redis
) -> None:
    listener = listening(Subscriptions([SYNC, "acme:sync-events"]), limit=100)
    for _ in range(500):
        redis_client.publish("acme:sync-events", b"")
    redis_client.publish(SYNC, b"quiet")
    while "default" not in listener._buffer._queues:
        redis_client.ping()
    heard, gaps = listener.pop_before(ALWAYS)
    assert [each.channel for each in heard] == [*["acme:sync-events"] * 99, SYNC]
    assert [gap[:3] for gap in gaps] == [("acme", "flooded", 401)]


def test_a_lost_connection_is_opened_again_and_reported_as_a_gap(
    listening: Listening, redis_client: redis.Redis
) -> None:
    listener = listening()
    assert listener.pop_before(ALWAYS) == ([], [])
    redis_client.client_kill_filter(_type="pubsub")
    publish_until_received(redis_client, b"after")
    heard, gaps = list[ReceivedMessage](), list[Gap]()
    until_s = monotonic() + 10
    while not heard and monotonic() < until_s:
        redis_client.ping()
        part, missing = listener.pop_before(ALWAYS)
        heard, gaps = heard + part, gaps + missing
    assert [each.body for each in heard] == [b"after"]
    assert [gap[:3] for gap in gaps] == [("*", "reconnected", None)]


def test_a_quiet_connection_stays_open(listening: Listening, redis_client: redis.Redis) -> None:
    listener = listening()
    until_s = monotonic() + 3 * SHORT_DEADLINES.pong_within_s
    while monotonic() < until_s:
        redis_client.ping()
        assert listener.pop_before(ALWAYS) == ([], [])
    assert redis_client.publish(SYNC, b"still there") == 1


def test_a_missing_permission_is_a_config_error_with_the_grants(
    listening: Listening, redis_client: redis.Redis
) -> None:
    redis_client.acl_setuser("denied", enabled=True, nopass=True, commands=["+@all"], keys=["*"])
    try:
        with pytest.raises(ConfigError, match=r"REDIS_URL: .*channel.*&sync-events.*\+psubscribe"):
            listening(user="denied:x@")
    finally:
        redis_client.acl_deluser("denied")


def test_a_revoked_permission_is_a_config_error_until_it_is_granted_again(
    listening: Listening, redis_client: redis.Redis
) -> None:
    redis_client.acl_setuser(
        "denied", enabled=True, nopass=True, commands=["+@all"], keys=["*"], channels=["*"]
    )
    try:
        listener = listening(user="denied:x@")
        redis_client.acl_setuser("denied", enabled=True, reset_channels=True)
        with pytest.raises(ConfigError, match="channel"):
            receive(listener, redis_client, 1)
        redis_client.acl_setuser("denied", enabled=True, channels=["*"])
        publish_until_received(redis_client, b"again")
        wait_until(lambda: not listener._refusal)
        assert [each.body for each in receive(listener, redis_client, 1)] == [b"again"]
    finally:
        redis_client.acl_deluser("denied")


class Flood:
    """A connection on which there is always one more message."""

    def __init__(self) -> None:
        self._left = 200_000  # only a listener that never stops reading reaches the end

    def connect(self) -> None:
        pass

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

    def read_response(
        self, *, disconnect_on_error: bool = True, push_request: bool = False
    ) -> list[object]:
        del disconnect_on_error, push_request
        self._left -= 1
        assert self._left, "it never stopped reading"
        return next(self._replies)


def test_messages_of_a_flood_without_a_pause_are_returned(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_client(valkey_url)) as client:
        monkeypatch.setattr(subscription, "subscriber_connection", lambda _: Flood())
        with closing(PubSubListener(client, ONE_NAME, 1000)) as listener:
            while not listener.pop_before(ALWAYS)[0]:
                pass
