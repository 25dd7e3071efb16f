"""The dead-letter stream of a real Valkey, as the service writes it.

`tests/e2e/test_dead_letters.py` has what an operator does with it.
"""

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.dead_letter_stream import (
    MAX_DEAD_LETTERS,
    RedisDeadLetterQueue,
)
from conductor_actors.adapters.redis.key_names import DEAD_LETTERS_KEY
from conductor_actors.errors import ConfigError, OwnershipLost
from conductor_actors.ports import DeadLetter
from tests.support.fences import take_ownership

LETTER = DeadLetter("s", "1-0", "not_json", b"")


@pytest.fixture
def queue(valkey_url: str) -> Iterator[RedisDeadLetterQueue]:
    with closing(RedisDeadLetterQueue(valkey_url, take_ownership(valkey_url))) as queue:
        yield queue


def test_a_dead_letter_has_its_origin_its_reason_and_the_beginning_of_its_body(
    queue: RedisDeadLetterQueue, client: redis.Redis
) -> None:
    body = bytes(range(256)) * 4
    letters = [
        DeadLetter("acme:sync-events", "17-3", "not_json", body),
        DeadLetter("sync-events", "17-4", "wrong_shape", b""),
    ]
    queue.add(letters)
    [entries] = pipeline(client, [("XRANGE", DEAD_LETTERS_KEY, "-", "+")])
    assert [fields for _, fields in entries] == [
        [
            *(b"source", b"acme:sync-events", b"entry_id", b"17-3"),
            *(b"reason", b"not_json", b"body", body[:256]),
        ],
        [
            *(b"source", b"sync-events", b"entry_id", b"17-4"),
            *(b"reason", b"wrong_shape", b"body", b""),
        ],
    ]


def test_the_stream_is_capped_at_the_newest_ten_thousand_letters(
    queue: RedisDeadLetterQueue, client: redis.Redis
) -> None:
    for first in range(0, 25_000, 5000):
        numbers = range(first, first + 5000)
        queue.add([LETTER._replace(entry_id=f"{number}-0") for number in numbers])
    assert MAX_DEAD_LETTERS <= client.xlen(DEAD_LETTERS_KEY) <= MAX_DEAD_LETTERS + 100
    [[(_, newest)]] = pipeline(client, [("XREVRANGE", DEAD_LETTERS_KEY, "+", "-", "COUNT", 1)])
    assert newest[3] == b"24999-0"


def test_a_former_owner_adds_nothing(
    queue: RedisDeadLetterQueue, client: redis.Redis, valkey_url: str
) -> None:
    take_ownership(valkey_url, 8)
    with pytest.raises(OwnershipLost):
        queue.add([LETTER])
    assert client.exists(DEAD_LETTERS_KEY) == 0


def test_no_letters_add_nothing(queue: RedisDeadLetterQueue, client: redis.Redis) -> None:
    queue.add([])
    assert client.exists(DEAD_LETTERS_KEY) == 0
    queue.add([LETTER])
    assert client.xlen(DEAD_LETTERS_KEY) == 1


def test_a_key_of_the_wrong_type_is_named(queue: RedisDeadLetterQueue, client: redis.Redis) -> None:
    client.set(DEAD_LETTERS_KEY, "x")
    with pytest.raises(ConfigError, match=DEAD_LETTERS_KEY):
        queue.add([LETTER])
