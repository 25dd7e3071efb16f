"""Published updates are read at the caller's pace, across outages."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import pytest
import redis

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.redis.updates.update_reader import RedisUpdateReader
from conductor_actors.domain.identity import EVERY_TENANT
from conductor_actors.errors import Unavailable
from conductor_actors.ports import PublishedMessage


@pytest.fixture
def reader(valkey_url: str) -> Iterator[RedisUpdateReader]:
    with closing(RedisUpdateReader(valkey_url)) as reader:
        yield reader


def read_until(
    reader: RedisUpdateReader, is_there: Callable[[Sequence[PublishedMessage]], bool]
) -> list[PublishedMessage]:
    messages: list[PublishedMessage] = []
    until_s = time.monotonic() + 10
    while not is_there(messages):
        assert time.monotonic() < until_s, messages
        messages += reader.read(0.1)
    return messages


def bodies(messages: Sequence[PublishedMessage]) -> list[bytes]:
    return [message.body for message in messages]


def test_the_updates_of_every_tenant_are_read(
    reader: RedisUpdateReader, redis_client: redis.Redis
) -> None:
    reader.select(EVERY_TENANT)
    assert list(reader.read()) == []
    for channel in ("acme:engagement:update", "anomaly:detected", "engagement:update"):
        redis_client.publish(channel, channel)
    assert read_until(reader, lambda messages: len(messages) == 2) == [
        ("acme", "engagement:update", b"acme:engagement:update"),
        ("default", "engagement:update", b"engagement:update"),
    ]


def test_what_conductors_do_in_every_session_is_read_beside_the_selected_messages(
    reader: RedisUpdateReader, redis_client: redis.Redis
) -> None:
    reader.select_all("anomaly:detected")
    assert list(reader.read()) == []
    channels = ("engagement:update", "acme:session:a:b:events", "session:talk:events")
    for channel in (*channels, "acme:anomaly:detected"):
        redis_client.publish(channel, "body")
    assert read_until(reader, lambda messages: len(messages) == 3) == [
        ("acme", "session:a:b:events", b"body"),
        ("default", "session:talk:events", b"body"),
        ("acme", "anomaly:detected", b"body"),
    ]


def test_only_the_updates_of_the_selected_tenant_are_read(
    reader: RedisUpdateReader, redis_client: redis.Redis
) -> None:
    for tenant, channel in (("acme", "acme:engagement:update"), ("default", "engagement:update")):
        reader.select(tenant)
        reader.read()
        redis_client.publish("globex:engagement:update", "of another")
        redis_client.publish(channel, tenant)
        assert bodies(read_until(reader, bool)) == [tenant.encode()]
    reader.select(None)
    redis_client.publish("engagement:update", "not read")
    assert list(reader.read()) == []


def test_a_lost_connection_is_unavailable_once_and_the_next_read_subscribes_again(
    reader: RedisUpdateReader, redis_client: redis.Redis
) -> None:
    reader.select("acme")
    reader.read()
    redis_client.client_kill_filter(_type="pubsub")
    with pytest.raises(Unavailable):
        read_until(reader, bool)
    reader.read()
    redis_client.publish("acme:engagement:update", "again")
    assert bodies(read_until(reader, bool)) == [b"again"]


def test_a_redis_that_is_away_is_unavailable() -> None:
    with closing(RedisUpdateReader(f"redis://127.0.0.1:{free_port()}")) as reader:
        reader.select(EVERY_TENANT)
        for _ in range(2):
            with pytest.raises(Unavailable):
                reader.read()
