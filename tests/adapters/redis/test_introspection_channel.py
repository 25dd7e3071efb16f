"""What every desk promises, fake or real: what is asked is heard, what is answered is found."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import NamedTuple, Protocol
from uuid import uuid4

import msgspec
import pytest
import redis

from conductor_actors.adapters.redis.client import open_client, pipeline
from conductor_actors.adapters.redis.introspection_channel import (
    ANSWERS,
    CHANNEL,
    KEPT_MS,
    MOST_REQUESTS,
    IntrospectionChannel,
    RedisAsker,
)
from conductor_actors.domain.introspection_protocol import Answer, Request
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import IntrospectionRequests
from tests.support.fakes.memory_requests import MemoryRequests


class Asker(Protocol):
    def ask(self, request: Request) -> int: ...

    def next_answer(self, request: Request, timeout_s: float) -> Answer | None: ...


class Ends(NamedTuple):
    """Both ends of the line."""

    desk: IntrospectionRequests
    asker: Asker


def request(session: str = "keynote", trace_s: float | None = None) -> Request:
    return Request(uuid4().hex, "acme", session, trace_s)


@pytest.fixture(params=["memory", "redis"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    if request.param == "memory":
        memory = MemoryRequests()
        yield Ends(memory, memory)
        return
    url = request.getfixturevalue("valkey_url")
    request.getfixturevalue("redis_client")
    with closing(IntrospectionChannel(url)) as desk, closing(RedisAsker(url)) as asker:
        yield Ends(desk, asker)


def heard(desk: IntrospectionRequests, count: int) -> list[Request]:
    """Take until there are so many."""
    requests: list[Request] = []
    while len(requests) < count:
        requests += desk.take()
    return requests


def test_what_is_asked_is_heard_in_order_and_once(ends: Ends) -> None:
    assert ends.desk.take() == []
    asked = [request("one"), request("two", trace_s=60)]
    assert [ends.asker.ask(each) for each in asked] == [1, 1]
    assert heard(ends.desk, 2) == asked
    assert ends.desk.take() == []


def test_what_is_asked_before_anybody_listens_is_heard_by_nobody(ends: Ends) -> None:
    assert ends.asker.ask(request()) == 0
    assert ends.desk.take() == []


def test_an_answer_comes_to_who_asked(ends: Ends) -> None:
    mine, other = request(), request()
    ends.desk.answer(Answer(id=other.id))
    ends.desk.answer(Answer(id=mine.id, is_known=True, traced_s=60))
    assert ends.asker.next_answer(mine, 5) == Answer(id=mine.id, is_known=True, traced_s=60)
    assert ends.asker.next_answer(other, 5) == Answer(id=other.id)


def test_where_no_answer_is_none_comes(ends: Ends) -> None:
    assert ends.asker.next_answer(request(), 0.01) is None


@pytest.fixture
def desk(valkey_url: str, redis_client: redis.Redis) -> Iterator[IntrospectionChannel]:
    del redis_client  # for its empty database
    with closing(IntrospectionChannel(valkey_url)) as desk:
        assert desk.take() == []
        yield desk


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
def test_what_is_no_request_is_passed_over(
    desk: IntrospectionChannel, redis_client: redis.Redis, body: bytes
) -> None:
    good = request()
    redis_client.publish(CHANNEL, body)
    redis_client.publish(CHANNEL, msgspec.json.encode(good))
    assert heard(desk, 1) == [good]


def test_who_asks_more_than_can_be_answered_waits(
    desk: IntrospectionChannel, valkey_url: str
) -> None:
    asked = [request(f"{number}") for number in range(MOST_REQUESTS + 1)]
    with closing(RedisAsker(valkey_url)) as asker:
        for each in asked:
            asker.ask(each)
        taken = [desk.take(), desk.take()]
    assert [len(each) for each in taken] == [MOST_REQUESTS, 1]


def test_an_answer_that_nobody_takes_is_gone_after_a_minute(
    desk: IntrospectionChannel, redis_client: redis.Redis
) -> None:
    desk.answer(Answer(id="abc"))
    assert 0 < redis_client.pttl(f"{ANSWERS}abc") <= KEPT_MS


def test_a_connection_that_was_cut_is_made_again(
    desk: IntrospectionChannel, redis_client: redis.Redis, valkey_url: str
) -> None:
    redis_client.client_kill_filter(_type="pubsub")
    with pytest.raises(Unavailable):
        desk.take()
    assert desk.take() == []
    with closing(RedisAsker(valkey_url)) as asker:
        good = request()
        assert asker.ask(good) == 1
    assert heard(desk, 1) == [good]


@pytest.mark.parametrize("use", [lambda d: d.take(), lambda d: d.answer(Answer(id="1"))])
def test_a_redis_that_is_away_and_one_that_grants_nothing_are_told_apart(
    valkey_url: str, redis_client: redis.Redis, use: Callable[[IntrospectionChannel], object]
) -> None:
    with closing(IntrospectionChannel("redis://127.0.0.1:1")) as away, pytest.raises(Unavailable):
        use(away)
    rules = ("on", ">secret", "resetchannels", "+multi", "+exec", "+subscribe", "+client|setinfo")
    with ExitStack() as after, closing(open_client(valkey_url)) as admin:
        pipeline(admin, [("ACL", "SETUSER", "poor", "reset", *rules)])
        after.callback(redis_client.acl_deluser, "poor")
        poor = valkey_url.replace("//", "//poor:secret@")
        with (
            closing(IntrospectionChannel(poor)) as desk,
            pytest.raises(ConfigError, match="grant it"),
        ):
            use(desk)


def test_a_quiet_connection_that_lives_is_kept(valkey_url: str, redis_client: redis.Redis) -> None:
    good = request()
    with closing(IntrospectionChannel(valkey_url, ping_after_s=0)) as desk:
        for _ in range(3):
            assert desk.take() == []
        redis_client.publish(CHANNEL, msgspec.json.encode(good))
        assert heard(desk, 1) == [good]


def test_a_connection_that_is_deaf_is_given_up(valkey_url: str, redis_client: redis.Redis) -> None:
    with closing(IntrospectionChannel(valkey_url, 0, pong_within_s=0)) as desk:
        desk.take()
        redis_client.client_pause(1500)
        with pytest.raises(Unavailable, match="does not answer"):
            [desk.take() for _ in range(4)]
