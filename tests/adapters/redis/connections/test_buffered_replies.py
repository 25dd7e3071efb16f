"""The private part of redis-py that returns many replies at once: it may change in any version."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from conductor_actors.adapters.redis.connections.buffered_replies import pop_buffered_replies
from conductor_actors.adapters.redis.connections.primary import subscriber_connection
from tests.support.event_samples import SYNC


@pytest.fixture
def connection(client: redis.Redis) -> Iterator[Any]:
    connection = subscriber_connection(client.connection_pool)
    connection.connect()
    connection.send_command("SUBSCRIBE", SYNC)
    assert connection.read_response(push_request=True)[0] == b"subscribe"
    yield connection
    connection.disconnect()


def send(connection: Any, *commands: tuple[bytes | str, ...]) -> None:
    """Send commands in one packet, so that what they cause comes in one, too."""
    connection.send_packed_command([b"".join(connection.pack_commands(commands))])


def publish(connection: Any, *bodies: bytes) -> None:
    send(connection, *(("PUBLISH", SYNC, body) for body in bodies))


def bodies_of(replies: list[Any]) -> list[bytes]:
    return [reply[-1] for reply in replies if isinstance(reply, list)]


def test_messages_and_other_replies_that_were_received_are_returned_together(
    connection: Any,
) -> None:
    assert pop_buffered_replies(connection, 10) == []
    send(connection, ("PUBLISH", SYNC, b"0"), ("PUBLISH", SYNC, b"1"), ("HELLO", "x"))
    first = connection.read_response(push_request=True)
    replies = [first, *pop_buffered_replies(connection, 10)]
    assert bodies_of(replies) == [b"0", b"1"]
    assert replies.count(1) == 2
    assert sum(isinstance(reply, redis.ResponseError) for reply in replies) == 1
    assert len(replies) == 5
    assert pop_buffered_replies(connection, 10) == []


def test_no_more_replies_than_the_limit_are_returned(connection: Any) -> None:
    publish(connection, b"0", b"1", b"2")
    first = connection.read_response(push_request=True)
    two, others = pop_buffered_replies(connection, 2), pop_buffered_replies(connection, 10)
    assert len(two) == 2
    assert bodies_of([first, *two, *others]) == [b"0", b"1", b"2"]
