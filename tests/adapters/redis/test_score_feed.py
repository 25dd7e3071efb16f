"""Updates as others hear them, and dead letters as an operator finds them."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import redis
from msgspec.structs import asdict

from conductor_actors.adapters.redis.client import open_client, pipeline
from conductor_actors.adapters.redis.key_names import DEAD_LETTERS_KEY
from conductor_actors.adapters.redis.score_feed import MOST_DEAD_LETTERS, RedisScoreFeed
from conductor_actors.errors import ConfigError, OwnershipLost
from conductor_actors.ports import DeadLetter
from tests.support.owners import owning
from tests.support.score_rows import AT_MS, row

UPDATES = "engagement:update"


@pytest.fixture
def feed(valkey_url: str, redis_client: redis.Redis) -> Iterator[RedisScoreFeed]:
    del redis_client  # for its empty database
    with closing(RedisScoreFeed(valkey_url, owning(valkey_url))) as feed:
        yield feed


@pytest.fixture
def client(valkey_url: str) -> Iterator[redis.Redis]:
    with closing(open_client(valkey_url)) as client:
        yield client


@contextmanager
def audience(client: redis.Redis) -> Iterator[Iterator[tuple[str, bytes]]]:
    """Give what is announced, of all tenants, as (channel, body)."""
    with client.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.psubscribe("*")
        pubsub.get_message(timeout=5)

        def heard() -> Iterator[tuple[str, bytes]]:
            while message := pubsub.get_message(timeout=5):
                yield message["channel"].decode(), message["data"]

        yield heard()


def test_an_update_says_what_the_contract_says(feed: RedisScoreFeed, client: redis.Redis) -> None:
    with audience(client) as heard:
        feed.publish([row("s1", event_id="e1")])
        channel, body = next(heard)
    assert channel == UPDATES
    assert json.loads(body) == {
        "timestamp": "2026-01-04T12:00:00.000Z",
        "tenantId": "default",
        "sessionId": "s1",
        "eventId": "e1",
        "score": 0.6018,
        "category": "HIGH",
        "signals": {
            "chat_msgs_per_min": 12.0,
            "poll_participation": 0.4,
            "active_users": 31,
            "total_users": 50,
            "reactions_per_min": 9.0,
            "user_leave_rate": 0.02,
        },
        "contributions": {
            "chat": 0.2527,
            "poll": 0.1,
            "active_users": 0.155,
            "reactions": 0.096,
            "leave_rate": -0.002,
        },
    }


@pytest.mark.parametrize(
    ("at_ms", "timestamp"),
    [
        (AT_MS + 5000, "2026-01-04T12:00:05.000Z"),
        (AT_MS + 5007, "2026-01-04T12:00:05.007Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (253_402_300_799_000, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_a_timestamp_is_utc_with_milliseconds(
    feed: RedisScoreFeed, client: redis.Redis, at_ms: int, timestamp: str
) -> None:
    with audience(client) as heard:
        feed.publish([row(at_ms=at_ms)])
        assert json.loads(next(heard)[1])["timestamp"] == timestamp


def test_a_tenant_hears_its_updates_on_a_channel_of_its_own(
    feed: RedisScoreFeed, client: redis.Redis
) -> None:
    with audience(client) as heard:
        feed.publish([row(tenant_id="acme"), row(), row(tenant_id="globex")])
        said = [(channel, json.loads(body)["tenantId"]) for channel, body in _some(heard, 3)]
    expected = [(f"acme:{UPDATES}", "acme"), (UPDATES, "default")]
    assert said == [*expected, (f"globex:{UPDATES}", "globex")]


@pytest.mark.parametrize("text", ['"', "\\", "a\nb", "\u2028", "😀", "</script>", "\x7f"])
def test_ids_of_any_text_come_out_as_they_went_in(
    feed: RedisScoreFeed, client: redis.Redis, text: str
) -> None:
    with audience(client) as heard:
        feed.publish([row(text, event_id=text)])
        body: dict[str, Any] = json.loads(next(heard)[1])
    assert (body["sessionId"], body["eventId"]) == (text, text)


def test_ten_thousand_updates_go_out_at_once_and_in_order(
    feed: RedisScoreFeed, client: redis.Redis
) -> None:
    with audience(client) as heard:
        feed.publish([row(f"s{number}") for number in range(10_000)])
        sessions = [json.loads(body)["sessionId"] for _, body in _some(heard, 10_000)]
    assert sessions == [f"s{number}" for number in range(10_000)]


def test_who_is_not_the_owner_any_more_announces_nothing_and_keeps_nothing(
    feed: RedisScoreFeed, client: redis.Redis, valkey_url: str
) -> None:
    with audience(client) as heard:
        owning(valkey_url, 8)
        with pytest.raises(OwnershipLost):
            feed.publish([row()])
        with pytest.raises(OwnershipLost):
            feed.add([DeadLetter("s", "1-0", "not_json", b"")])
        client.publish("mark", b"")
        assert next(heard) == ("mark", b"")
    assert client.exists(DEAD_LETTERS_KEY) == 0


def test_nothing_to_announce_is_nothing_to_do(feed: RedisScoreFeed) -> None:
    feed.publish([])
    feed.add([])
    feed.publish([row()])


def test_a_dead_letter_keeps_its_origin_reason_and_beginning(
    feed: RedisScoreFeed, client: redis.Redis
) -> None:
    body = bytes(range(256)) * 4
    letters = [
        DeadLetter("acme:sync-events", "17-3", "not_json", body),
        DeadLetter("sync-events", "17-4", "wrong_shape", b""),
    ]
    feed.add(letters)
    [found] = pipeline(client, [("XRANGE", DEAD_LETTERS_KEY, "-", "+")])
    assert [fields for _, fields in found] == [
        [
            *(b"source", b"acme:sync-events", b"entry_id", b"17-3"),
            *(b"reason", b"not_json", b"body", body[:256]),
        ],
        [
            *(b"source", b"sync-events", b"entry_id", b"17-4"),
            *(b"reason", b"wrong_shape", b"body", b""),
        ],
    ]


def test_the_newest_ten_thousand_dead_letters_are_kept(
    feed: RedisScoreFeed, client: redis.Redis
) -> None:
    for first in range(0, 25_000, 5000):
        numbers = range(first, first + 5000)
        feed.add([DeadLetter("s", f"{number}-0", "not_json", b"") for number in numbers])
    assert MOST_DEAD_LETTERS <= client.xlen(DEAD_LETTERS_KEY) <= MOST_DEAD_LETTERS + 100
    [[(_, newest)]] = pipeline(client, [("XREVRANGE", DEAD_LETTERS_KEY, "+", "-", "COUNT", 1)])
    assert newest[3] == b"24999-0"


def test_a_key_in_the_place_of_the_dead_letters_is_named(
    feed: RedisScoreFeed, client: redis.Redis
) -> None:
    client.set(DEAD_LETTERS_KEY, "x")
    with pytest.raises(ConfigError, match=DEAD_LETTERS_KEY):
        feed.add([DeadLetter("s", "1-0", "not_json", b"")])


def test_the_bodys_signals_are_the_rows(feed: RedisScoreFeed, client: redis.Redis) -> None:
    with audience(client) as heard:
        feed.publish([row()])
        body = json.loads(next(heard)[1])
    assert body["signals"] == asdict(row().signals)
    assert body["contributions"] == asdict(row().contributions)


def _some(heard: Iterator[tuple[str, bytes]], count: int) -> list[tuple[str, bytes]]:
    return [next(heard) for _ in range(count)]
