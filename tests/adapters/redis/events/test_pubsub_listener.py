"""Received messages, and the gaps reported."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import chain, repeat
from time import monotonic
from types import SimpleNamespace

import pytest
import redis

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.liveness import Deadlines
from conductor_actors.adapters.redis.events import subscription
from conductor_actors.adapters.redis.events.pubsub_listener import PubSubListener
from conductor_actors.adapters.redis.events.subscription import Subscriptions
from conductor_actors.adapters.redis.events.tenant_buffer import PubSubMessage
from conductor_actors.domain.gaps import Gap
from conductor_actors.errors import ConfigError
from tests.adapters.redis.pubsub_messages import pop_messages
from tests.support.event_samples import SYNC
from tests.support.waiting import wait_until

ALWAYS = float("inf")
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


def receive(listener: PubSubListener, client: redis.Redis, count: int) -> list[PubSubMessage]:
    """Wait for so many messages."""
    messages: list[PubSubMessage] = []
    until_s = monotonic() + 10
    while len(messages) < count and monotonic() < until_s:
        client.ping()
        messages += pop_messages(listener)[0]
    return messages


def publish_until_received(client: redis.Redis, body: bytes) -> None:
    """Publish until there is a subscriber."""
    until_s = monotonic() + 10
    while not client.publish(SYNC, body):
        assert monotonic() < until_s, "no subscription"


def test_messages_of_channels_and_patterns_are_received_in_the_order_of_each_tenant(
    listening: Listening, redis_client: redis.Redis
) -> None:
    listener = listening(Subscriptions([SYNC], ["*:sync-events"]))
    names = [SYNC, "acme:sync-events", "globex:sync-events"]
    bodies = [b"%d" % number for number in range(100)]
    for body in bodies:
        for name in names:
            redis_client.publish(name, body)
    messages = receive(listener, redis_client, 300)
    for name in names:
        assert [body for channel, body in messages if channel == name] == bodies
    assert listener.pop_before(ALWAYS) == ([], [])


def test_a_message_ends_the_wait_for_messages_until_all_are_removed(
    listening: Listening, redis_client: redis.Redis
) -> None:
    listener = listening()
    began_s = monotonic()
    listener.wait_for_messages(0.01)
    assert monotonic() - began_s >= 0.01
    redis_client.publish(SYNC, b"")
    for _ in range(2):  # one that stays in the buffer ends the next wait, too
        listener.wait_for_messages(60)
    assert monotonic() - began_s < 30
    assert len(receive(listener, redis_client, 1)) == 1
    removed_s = monotonic()
    listener.wait_for_messages(0.01)
    assert monotonic() - removed_s >= 0.01


def test_a_flood_is_reported_with_the_number_of_dropped_messages(
    listening: Listening, redis_client: redis.Redis
) -> None:
    listener = listening(Subscriptions([SYNC, "acme:sync-events"]), limit=100)
    for _ in range(500):
        redis_client.publish("acme:sync-events", b"")
    redis_client.publish(SYNC, b"quiet")
    while "default" not in listener._buffer._queues:
        redis_client.ping()
    heard, gaps = pop_messages(listener)
    assert [channel for channel, _ in heard] == [*["acme:sync-events"] * 99, SYNC]
    assert [gap[:3] for gap in gaps] == [("acme", "flooded", 401)]


def test_a_lost_connection_is_opened_again_and_reported_as_a_gap(
    listening: Listening, redis_client: redis.Redis
) -> None:
    listener = listening()
    assert listener.pop_before(ALWAYS) == ([], [])
    redis_client.client_kill_filter(_type="pubsub")
    publish_until_received(redis_client, b"after")
    heard, gaps = list[PubSubMessage](), list[Gap]()
    until_s = monotonic() + 10
    while not heard and monotonic() < until_s:
        redis_client.ping()
        part, missing = pop_messages(listener)
        heard, gaps = heard + part, gaps + missing
    assert [body for _, body in heard] == [b"after"]
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
        assert [body for _, body in receive(listener, redis_client, 1)] == [b"again"]
    finally:
        redis_client.acl_deluser("denied")


class Flood:
    """A connection on which there is always one more message."""

    def __init__(self) -> None:
        self._left = 200_000  # only a listener that never stops reading reaches the end
        self._parser = SimpleNamespace(_reader=SimpleNamespace(gets=self.read_response))

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
