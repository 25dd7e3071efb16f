"""What every introspection channel promises, fake or real, and what the one in Redis adds."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import NamedTuple, Protocol
from uuid import uuid4

import msgspec
import pytest
import redis

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.liveness import Deadlines
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.introspection_channel import (
    ANSWER_TTL_MS,
    MAX_REQUESTS_PER_READ,
    RedisIntrospectionChannel,
    RedisIntrospectionClient,
)
from conductor_actors.adapters.redis.key_names import ANSWER_PREFIX, REQUEST_CHANNEL
from conductor_actors.domain.introspection_protocol import (
    IntrospectionAnswer,
    IntrospectionRequest,
)
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import IntrospectionChannel
from tests.support.fakes.memory_introspection_channel import MemoryIntrospectionChannel


class IntrospectionClient(Protocol):
    def send(self, request: IntrospectionRequest) -> int: ...

    def next_answer(
        self, request: IntrospectionRequest, wait_s: float
    ) -> IntrospectionAnswer | None: ...


class Ends(NamedTuple):
    """Both ends of a channel: the collector's and the requester's."""

    channel: IntrospectionChannel
    client: IntrospectionClient


def request_of(session: str = "keynote", trace_s: float | None = None) -> IntrospectionRequest:
    return IntrospectionRequest(uuid4().hex, "acme", session, trace_s)


@pytest.fixture(params=["memory", "redis"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    if request.param == "memory":
        memory = MemoryIntrospectionChannel()
        yield Ends(memory, memory.client)
        return
    url = request.getfixturevalue("valkey_url")
    with (
        closing(RedisIntrospectionChannel(url)) as channel,
        closing(RedisIntrospectionClient(url)) as client,
    ):
        yield Ends(channel, client)


def received(channel: IntrospectionChannel, count: int) -> list[IntrospectionRequest]:
    """Read until there are so many requests."""
    requests: list[IntrospectionRequest] = []
    while len(requests) < count:
        requests += channel.read()
    return requests


def test_requests_are_read_in_order_and_once(ends: Ends) -> None:
    assert ends.channel.read() == []
    requests = [request_of("one"), request_of("two", trace_s=60)]
    assert [ends.client.send(each) for each in requests] == [1, 1]
    assert received(ends.channel, 2) == requests
    assert ends.channel.read() == []


def test_a_request_from_before_the_first_read_reaches_no_collector(ends: Ends) -> None:
    assert ends.client.send(request_of()) == 0
    assert ends.channel.read() == []


def test_an_answer_reaches_the_client_that_made_the_request(ends: Ends) -> None:
    mine, other = request_of(), request_of()
    answer = IntrospectionAnswer(id=mine.id, is_known=True, traced_s=60)
    ends.channel.send(IntrospectionAnswer(id=other.id))
    ends.channel.send(answer)
    assert ends.client.next_answer(mine, 5) == answer
    assert ends.client.next_answer(other, 5) == IntrospectionAnswer(id=other.id)


def test_without_an_answer_the_client_gets_none(ends: Ends) -> None:
    assert ends.client.next_answer(request_of(), 0.01) is None


@pytest.fixture
def channel(valkey_url: str) -> Iterator[RedisIntrospectionChannel]:
    with closing(RedisIntrospectionChannel(valkey_url)) as channel:
        assert channel.read() == []
        yield channel


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"id": "1", "tenant": "acme"}',
        b'{"id": "../x", "tenant": "acme", "session": "s"}',
        b'{"id": "%s", "tenant": "acme", "session": "s"}' % (b"a" * 65),
        b'{"id": "1", "tenant": "", "session": "s"}',
        b'{"id": "1", "tenant": "acme", "session": "%s"}' % (b"s" * 256),
        b'{"id": "1", "tenant": "acme", "session": "s", "trace_s": 601}',
        b'{"id": "1", "tenant": "acme", "session": "s", "trace_s": 0}',
        b'{"x": ' + b"[" * 100_000,
    ],
)
def test_a_message_that_is_no_request_is_ignored(
    channel: RedisIntrospectionChannel, redis_client: redis.Redis, body: bytes
) -> None:
    valid = request_of()
    redis_client.publish(REQUEST_CHANNEL, body)
    redis_client.publish(REQUEST_CHANNEL, msgspec.json.encode(valid))
    assert received(channel, 1) == [valid]


def test_one_read_returns_a_bounded_number_of_requests(
    channel: RedisIntrospectionChannel, valkey_url: str
) -> None:
    with closing(RedisIntrospectionClient(valkey_url)) as client:
        for number in range(MAX_REQUESTS_PER_READ + 1):
            client.send(request_of(f"{number}"))
        reads = [channel.read(), channel.read()]
    assert [len(each) for each in reads] == [MAX_REQUESTS_PER_READ, 1]


def test_an_answer_that_is_not_fetched_expires_after_a_minute(
    channel: RedisIntrospectionChannel, redis_client: redis.Redis
) -> None:
    channel.send(IntrospectionAnswer(id="abc"))
    assert 0 < redis_client.pttl(f"{ANSWER_PREFIX}abc") <= ANSWER_TTL_MS


def test_a_channel_reconnects_after_its_connection_was_cut(
    channel: RedisIntrospectionChannel, redis_client: redis.Redis, valkey_url: str
) -> None:
    redis_client.client_kill_filter(_type="pubsub")
    with pytest.raises(Unavailable):
        channel.read()
    assert channel.read() == []
    with closing(RedisIntrospectionClient(valkey_url)) as client:
        request = request_of()
        assert client.send(request) == 1
    assert received(channel, 1) == [request]


@pytest.mark.parametrize(
    "use", [lambda each: each.read(), lambda each: each.send(IntrospectionAnswer(id="1"))]
)
def test_an_outage_and_a_missing_permission_raise_different_errors(
    valkey_url: str, redis_client: redis.Redis, use: Callable[[RedisIntrospectionChannel], object]
) -> None:
    away = RedisIntrospectionChannel("redis://127.0.0.1:1")
    with closing(away), pytest.raises(Unavailable):
        use(away)
    rules = ("on", ">secret", "resetchannels", "+multi", "+exec", "+subscribe")
    with ExitStack() as after, closing(open_client(valkey_url)) as admin:
        pipeline(admin, [("ACL", "SETUSER", "poor", "reset", *rules)])
        after.callback(redis_client.acl_deluser, "poor")
        poor = RedisIntrospectionChannel(valkey_url.replace("//", "//poor:secret@"))
        with closing(poor), pytest.raises(ConfigError, match="grant it"):
            use(poor)


def test_a_quiet_connection_that_answers_pings_is_kept(
    valkey_url: str, redis_client: redis.Redis
) -> None:
    request = request_of()
    with closing(RedisIntrospectionChannel(valkey_url, Deadlines(quiet_s=0))) as channel:
        for _ in range(3):
            assert channel.read() == []
        redis_client.publish(REQUEST_CHANNEL, msgspec.json.encode(request))
        assert received(channel, 1) == [request]


def test_a_connection_that_answers_no_ping_is_given_up(
    valkey_url: str, redis_client: redis.Redis
) -> None:
    with closing(RedisIntrospectionChannel(valkey_url, Deadlines(0, 0))) as channel:
        channel.read()
        redis_client.client_pause(1500)
        with pytest.raises(Unavailable, match="does not answer"):
            [channel.read() for _ in range(4)]
