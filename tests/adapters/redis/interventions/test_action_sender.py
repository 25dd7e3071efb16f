"""The contract of every action sender, on a Valkey and on the oldest Redis that is supported."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import pytest
import redis

from conductor_actors.adapters.redis.connections.namespaces import with_namespace
from conductor_actors.adapters.redis.connections.pipelines import pipeline, server_time_ms
from conductor_actors.adapters.redis.interventions.action_sender import RedisActionSender
from conductor_actors.adapters.redis.key_names import FENCE_KEY
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.ports.conductor_port import ActionSender, OutgoingAction, SendResult
from conductor_actors.wire.intervention_messages import encode_action
from tests.adapters.redis.acl_users import acl_user, as_user, granted_rules
from tests.support.fakes.memory_actions import MemoryActionSender
from tests.support.fences import take_ownership
from tests.support.interventions import intervention
from tests.support.oldest_redis import redis_7_0
from tests.support.score_rows import AT_MS
from tests.support.valkey_servers import ServerKind, ValkeyServer, valkey_server

HOUR_MS = 3_600_000
SENT, SENT_BEFORE, LATE = SendResult.SENT, SendResult.SENT_BEFORE, SendResult.LATE


@pytest.fixture(scope="module", params=["valkey", "redis 7.0"])
def server(request: pytest.FixtureRequest) -> Iterator[ValkeyServer]:
    kind = ServerKind(redis_7_0() if request.param == "redis 7.0" else None)
    with valkey_server(kind=kind) as server:
        yield server


@pytest.fixture
def client(server: ValkeyServer) -> redis.Redis:
    server.client.flushall()
    return server.client


class SenderUnderTest(NamedTuple):
    sender: ActionSender
    now_ms: Callable[[], int]
    sent_ids: Callable[[], Sequence[str]]


@pytest.fixture(params=["memory", "redis"])
def tested(
    request: pytest.FixtureRequest, server: ValkeyServer, client: redis.Redis
) -> Iterator[SenderUnderTest]:
    if request.param == "memory":
        memory = MemoryActionSender()
        ids = lambda: [action.record.id for action in memory.sent]  # noqa: E731
        yield SenderUnderTest(memory, lambda: AT_MS, ids)
        return
    with closing(RedisActionSender(server.url, take_ownership(server.url))) as sender:
        yield SenderUnderTest(sender, lambda: now_ms(client), lambda: sent_ids(client))


def now_ms(client: redis.Redis) -> int:
    return server_time_ms(pipeline(client, [("TIME",)])[0])


def entries(client: redis.Redis, key: str = "conductor:sent") -> list[dict[str, Any]]:
    found = pipeline(client, [("XRANGE", key, "-", "+")])[0]
    return [json.loads(fields[1]) for _, fields in found]


def sent_ids(client: redis.Redis) -> list[str]:
    return [each["interventionId"] for each in entries(client) if each["refused"] is None]


def action(
    number: int, send_by_ms: int, tenant: str = "default", session: str = "keynote", **changes: Any
) -> OutgoingAction:
    record = intervention(number, send_by_ms=send_by_ms, **changes)
    return OutgoingAction(tenant, session, record)


def test_actions_are_sent_in_order(tested: SenderUnderTest) -> None:
    actions = [action(number, tested.now_ms() + 15_000) for number in (3, 1, 2)]
    assert tested.sender.send(actions) == [SENT] * 3
    assert tested.sent_ids() == [each.record.id for each in actions]


def test_an_action_is_sent_once(tested: SenderUnderTest) -> None:
    first = action(1, tested.now_ms() + 15_000)
    assert tested.sender.send([first, first]) == [SENT, SENT_BEFORE]
    assert tested.sender.send([first, action(2, tested.now_ms() + 15_000)]) == [SENT_BEFORE, SENT]
    assert len(tested.sent_ids()) == 2


def test_an_action_is_not_sent_when_its_time_is_over(tested: SenderUnderTest) -> None:
    late, in_time = action(1, tested.now_ms() - 1), action(2, tested.now_ms() + 15_000)
    assert tested.sender.send([late, in_time]) == [LATE, SENT]
    assert tested.sent_ids() == [in_time.record.id]


def test_an_event_gets_a_hundred_actions_an_hour(tested: SenderUnderTest) -> None:
    until = tested.now_ms() + 15_000
    assert tested.sender.send([action(n, until) for n in range(100)]) == [SENT] * 100
    others = [action(200, until), action(201, until, event_id="other event")]
    assert tested.sender.send(others) == [SendResult.REFUSED, SENT]
    assert tested.sender.send([action(202, until, tenant="acme")]) == [SENT]
    assert tested.sender.send([action(200, until)]) == [SENT_BEFORE]


def test_no_action_is_no_call(tested: SenderUnderTest) -> None:
    assert [*tested.sender.send([])] == []


@pytest.fixture
def sender(client: redis.Redis, server: ValkeyServer) -> Iterator[RedisActionSender]:
    del client
    with closing(RedisActionSender(server.url, take_ownership(server.url))) as sender:
        yield sender


def received(client: redis.Redis, *channels: str) -> Iterator[tuple[str, bytes]]:
    with client.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.psubscribe("*")
        assert pubsub.get_message(timeout=5)
        yield ("", b"")
        client.publish("end", b"")
        while (message := pubsub.get_message(timeout=5))["channel"] != b"end":
            yield message["channel"].decode(), message["data"]
    del channels


def test_an_action_is_a_message_to_the_platform_and_an_entry_for_its_session(
    client: redis.Redis, sender: RedisActionSender
) -> None:
    messages = received(client)
    next(messages)
    mine, others = (
        action(1, now_ms(client) + 15_000),
        action(2, now_ms(client) + 15_000, tenant="acme"),
    )
    sender.send([mine])
    sender.send([others])
    assert [*messages] == [
        ("agent.interventions", encode_action("keynote", mine.record)),
        ("acme:agent.interventions", encode_action("keynote", others.record)),
    ]
    assert entries(client) == [
        {
            "interventionId": mine.record.id,
            "sessionId": "keynote",
            "eventId": "event",
            "type": "BROADCAST",
            "refused": None,
        }
    ]
    assert [each["interventionId"] for each in entries(client, "acme:conductor:sent")] == [
        others.record.id
    ]


def test_an_action_that_is_refused_is_an_entry_and_no_message(
    client: redis.Redis, sender: RedisActionSender
) -> None:
    until = now_ms(client) + 15_000
    sender.send([action(number, until) for number in range(100)])
    messages = received(client)
    next(messages)
    assert sender.send([action(100, until)]) == [SendResult.REFUSED]
    assert [*messages] == []
    assert entries(client)[-1]["refused"] == "event_limit"


def test_actions_of_an_hour_ago_do_not_count(
    client: redis.Redis, sender: RedisActionSender
) -> None:
    old = now_ms(client) - HOUR_MS - 1
    members = [part for number in range(100) for part in (old, f"old {number}")]
    pipeline(client, [("ZADD", "conductor:sent:hour:event", *members)])
    assert sender.send([action(1, now_ms(client) + 15_000)]) == [SENT]


def test_the_keys_of_ids_and_hours_expire(client: redis.Redis, sender: RedisActionSender) -> None:
    sent = action(1, now_ms(client) + 15_000)
    sender.send([sent])
    ttls = [client.ttl(f"conductor:sent:{name}") for name in (sent.record.id, "hour:event")]
    assert 86_390 <= ttls[0] <= 86_400
    assert 3_590 <= ttls[1] <= 3_600


def test_an_entry_ahead_of_the_clock_is_no_sending_in_time(
    client: redis.Redis, sender: RedisActionSender
) -> None:
    ahead_ms = now_ms(client) + 60_000
    pipeline(client, [("XADD", "conductor:sent", f"{ahead_ms}-0", "data", "{}")])
    messages = received(client)
    next(messages)
    assert sender.send([action(1, ahead_ms)]) == [LATE]
    assert [*messages] == []
    assert client.xlen("conductor:sent") == 1
    assert sender.send([action(1, ahead_ms + 15_000)]) == [SENT]


def test_another_token_sends_nothing(client: redis.Redis, server: ValkeyServer) -> None:
    fence = take_ownership(server.url, 7)
    with closing(RedisActionSender(server.url, fence)) as sender:
        take_ownership(server.url, 8)
        with pytest.raises(OwnershipLost):
            sender.send([action(1, now_ms(client) + 15_000)])
        client.delete(FENCE_KEY)
        with pytest.raises(Unavailable, match="forgotten who owns"):
            sender.send([action(1, now_ms(client) + 15_000)])
    with closing(RedisActionSender(server.url, Fence())) as sender, pytest.raises(Unavailable):
        sender.send([action(1, now_ms(client) + 15_000)])
    assert client.keys("*conductor:sent*") == []


@pytest.mark.parametrize(
    "missing",
    [
        "+publish",
        "+zadd",
        "+zcard",
        "+set",
        "+xtrim",
        "~*:conductor:sent*",
        "&*:agent.interventions",
    ],
)
def test_an_action_that_fails_halfway_is_sent_once_when_it_may_be(
    client: redis.Redis, server: ValkeyServer, missing: str
) -> None:
    rules = [rule for rule in granted_rules() if rule != missing]
    assert len(rules) < len(granted_rules())
    until = now_ms(client) + 15_000
    actions = [action(number, until, tenant="acme") for number in (1, 2)]
    fence = take_ownership(server.url)
    with (
        acl_user(client, *rules),
        closing(RedisActionSender(as_user(server.url), fence)) as sender,
    ):
        messages = received(client)
        next(messages)
        with pytest.raises(ConfigError, match=r"^REDIS_URL: .*grant it, as in: "):
            sender.send(actions)
        assert not client.exists("acme:conductor:sent")
        pipeline(client, [("ACL", "SETUSER", "conductor", missing)])
        assert sender.send(actions) == [SENT, SENT]
        assert [channel for channel, _ in messages] == ["acme:agent.interventions"] * 2
    assert len(entries(client, "acme:conductor:sent")) == 2


def test_no_entry_is_ever_deleted_again(client: redis.Redis, sender: RedisActionSender) -> None:
    """A deleted entry is a gap to whoever reads the stream."""
    until = now_ms(client) + 15_000
    sender.send([action(number, until) for number in range(102)])
    sender.send([action(1, until), action(500, now_ms(client) - 1)])
    info: Any = client.xinfo_stream("conductor:sent")
    assert info["entries-added"] == info["length"] == 102


def test_a_stream_of_another_type_is_a_config_error_and_nothing_is_sent(
    client: redis.Redis, sender: RedisActionSender
) -> None:
    client.set("conductor:sent", "other")
    messages = received(client)
    next(messages)
    with pytest.raises(ConfigError, match="taken by something else"):
        sender.send([action(1, now_ms(client) + 15_000)])
    assert [*messages] == []


def test_a_namespace_stands_before_every_name(client: redis.Redis, server: ValkeyServer) -> None:
    url = with_namespace(server.url, "staging")
    with closing(RedisActionSender(url, take_ownership(url))) as sender:
        messages = received(client)
        next(messages)
        sent = action(1, now_ms(client) + 15_000, tenant="acme")
        assert sender.send([sent]) == [SENT]
        assert [channel for channel, _ in messages] == ["staging:acme:agent.interventions"]
    assert {*client.keys("*")} == {
        b"staging:conductor:fence",
        b"staging:acme:conductor:sent",
        b"staging:acme:conductor:sent:hour:event",
        f"staging:acme:conductor:sent:{sent.record.id}".encode(),
    }
