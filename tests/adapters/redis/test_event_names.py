"""Which Redis names are read, and whose events come under them."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from conductor_actors.adapters.redis.client import open_client
from conductor_actors.adapters.redis.event_names import LOOK_EVERY_S, EventNames, event_tenant
from conductor_actors.domain.events import DECODERS
from tests.support.fakes.fake_clock import FakeClock
from tests.support.hostile import CHAT, NAMES, SYNC


@pytest.fixture
def client(valkey_url: str, redis_client: redis.Redis) -> Iterator[redis.Redis]:
    del redis_client  # for its empty database
    with closing(open_client(valkey_url)) as client:
        yield client


def add(client: redis.Redis, *keys: str | bytes) -> None:
    for key in keys:
        client.xadd(key, {"data": b""})


@pytest.mark.parametrize(
    ("name", "tenant"),
    [
        (SYNC, "default"),
        (f"acme:{SYNC}", "acme"),
        (f"a:{CHAT}", "a"),
        (f"0-{'x' * 61}:{CHAT}", f"0-{'x' * 61}"),
        (f"{'x' * 64}:{CHAT}", None),
        (f"default:{SYNC}", None),
        (f"ACME:{SYNC}", None),
        (f":{SYNC}", None),
        (f"-acme:{SYNC}", None),
        (f"acme\n:{SYNC}", None),
        (f"acme:{SYNC}\n", None),
        (f"acme:globex:{SYNC}", None),
        (f"\ufffd:{SYNC}", None),
        ("acme:engagement:update", None),
        ("conductor:dead-letters", None),
        ("acme", None),
        ("", None),
    ],
)
def test_a_names_tenant_is_its_prefix_if_it_is_one(name: str, tenant: str | None) -> None:
    assert event_tenant(name) == tenant


def test_without_tenants_the_six_names_are_read(client: redis.Redis) -> None:
    names = EventNames(client, ())
    add(client, f"acme:{SYNC}")
    assert sorted(names.current()) == sorted(NAMES)
    assert names.channels() == names.current()
    assert names.channel_patterns() == []


def test_each_named_tenant_has_all_six_names_whether_they_are_there_or_not(
    client: redis.Redis,
) -> None:
    names = EventNames(client, ("acme", "globex"))
    expected = [prefix + name for prefix in ("", "acme:", "globex:") for name in DECODERS]
    assert names.current() == names.channels() == expected
    assert names.channel_patterns() == []


def test_tenants_are_found_by_their_streams(client: redis.Redis) -> None:
    client.lpush(f"listed:{SYNC}", "x")
    client.set(f"text:{SYNC}", "x")
    add(client, f"globex:{SYNC}", f"acme:{CHAT}", f"ACME:{SYNC}", "acme:other", b"\xff:" + b"x")
    names = EventNames(client, ("*",))
    assert names.current() == [*DECODERS, f"acme:{CHAT}", f"globex:{SYNC}"]


def test_no_channel_is_subscribed_to_that_a_pattern_matches_too(client: redis.Redis) -> None:
    add(client, f"globex:{SYNC}")
    names = EventNames(client, ("*", "acme"))
    assert f"globex:{SYNC}" in names.current()
    assert names.channels() == list(DECODERS)
    assert names.channel_patterns() == [f"*:{name}" for name in DECODERS]


def test_tenants_are_found_among_many_other_keys(client: redis.Redis) -> None:
    client.mset({f"cache:{number}": "x" for number in range(5000)})
    add(client, *(f"tenant-{number}:{SYNC}" for number in range(500)))
    assert len(EventNames(client, ("*",)).current()) == 506


def test_tenants_are_looked_for_every_ten_seconds_and_new_ones_come_last(
    client: redis.Redis,
) -> None:
    clock = FakeClock()
    names = EventNames(client, ("*",), clock)
    add(client, f"globex:{SYNC}")
    first = list(names.current())
    add(client, f"acme:{SYNC}")
    clock.advance(LOOK_EVERY_S - 0.01)
    assert list(names.current()) == first
    clock.advance(0.01)
    assert list(names.current()) == [*first, f"acme:{SYNC}"]


def test_a_tenant_whose_streams_are_gone_keeps_its_names(client: redis.Redis) -> None:
    clock = FakeClock()
    names = EventNames(client, ("*",), clock)
    add(client, f"acme:{SYNC}")
    before = list(names.current())
    client.flushall()
    clock.advance(LOOK_EVERY_S)
    assert list(names.current()) == before


def test_a_look_that_failed_is_made_again_at_once(client: redis.Redis) -> None:
    add(client, f"acme:{SYNC}")
    with closing(open_client("redis://127.0.0.1:1/0")) as nobody:
        names = EventNames(nobody, ("*",), FakeClock())
        for _ in range(2):
            with pytest.raises(redis.ConnectionError):
                names.current()
