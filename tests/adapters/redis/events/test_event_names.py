"""Which Redis names are read, and the tenant of each."""

from contextlib import closing

import pytest
import redis

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.events.event_names import (
    TENANT_SCAN_S,
    EventNames,
    event_tenant,
)
from tests.support.event_samples import CHANNEL_NAMES, CHAT, COMMANDS, OWN_NAMES, STREAM_NAMES, SYNC
from tests.support.fakes.fake_clock import FakeClock


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
        (COMMANDS, "default"),
        (f"acme:{COMMANDS}", "acme"),
        (f"conductor:{COMMANDS}", "conductor"),
        (f"conductor:{SYNC}", "conductor"),
        (f"acme:conductor:{COMMANDS}", None),
        ("acme:engagement:update", None),
        ("conductor:dead-letters", None),
        ("acme", None),
        ("", None),
    ],
)
def test_the_tenant_of_a_name_is_its_prefix_if_that_is_valid(name: str, tenant: str | None) -> None:
    assert event_tenant(name) == tenant


def test_without_tenants_the_bare_names_are_read(client: redis.Redis) -> None:
    names = EventNames(client, ())
    add(client, f"acme:{SYNC}")
    assert sorted(names.current()) == sorted(STREAM_NAMES)
    assert sorted(names.channels()) == sorted(CHANNEL_NAMES)
    assert names.channel_patterns() == []


@pytest.mark.parametrize("own_name", OWN_NAMES)
def test_what_only_the_service_writes_is_read_from_streams_alone(
    client: redis.Redis, own_name: str
) -> None:
    add(client, f"globex:{SYNC}")
    for tenants in ((), ("acme",), ("*", "acme")):
        names = EventNames(client, tenants)
        own = [name for name in names.current() if own_name in name]
        assert [name for name in names.own() if own_name in name] == own
        heard = [*names.channels(), *names.channel_patterns()]
        assert not [name for name in heard if own_name in name]
    assert own == [own_name, f"acme:{own_name}", f"globex:{own_name}"]


def test_each_named_tenant_has_all_names_even_if_they_do_not_exist(
    client: redis.Redis,
) -> None:
    names = EventNames(client, ("acme", "globex"))
    prefixes = ("", "acme:", "globex:")
    streams = [prefix + name for prefix in prefixes for name in STREAM_NAMES]
    assert sorted(names.current()) == sorted(streams)
    channels = [prefix + name for prefix in prefixes for name in CHANNEL_NAMES]
    assert sorted(names.channels()) == sorted(channels)
    assert names.channel_patterns() == []


def test_tenants_are_discovered_by_their_streams(client: redis.Redis) -> None:
    client.lpush(f"listed:{SYNC}", "x")
    client.set(f"text:{SYNC}", "x")
    add(client, f"globex:{SYNC}", f"acme:{CHAT}", f"ACME:{SYNC}", "acme:other", b"\xff:" + b"x")
    names = EventNames(client, ("*",))
    acme, globex = ([f"{tenant}:{name}" for name in OWN_NAMES] for tenant in ("acme", "globex"))
    found = [f"acme:{CHAT}", *acme, f"globex:{SYNC}", *globex]
    assert names.current()[len(STREAM_NAMES) :] == found


def test_a_channel_that_a_pattern_matches_is_not_subscribed_to_by_name(client: redis.Redis) -> None:
    add(client, f"globex:{SYNC}")
    names = EventNames(client, ("*", "acme"))
    assert f"globex:{SYNC}" in names.current()
    assert sorted(names.channels()) == sorted(CHANNEL_NAMES)
    assert names.channel_patterns() == [f"*:{name}" for name in names.channels()]


def test_tenants_are_discovered_among_many_other_keys(client: redis.Redis) -> None:
    client.mset({f"cache:{number}": "x" for number in range(5000)})
    add(client, *(f"tenant-{number}:{SYNC}" for number in range(500)))
    assert len(EventNames(client, ("*",)).current()) == len(STREAM_NAMES) + 4 * 500


def test_tenants_are_discovered_every_ten_seconds_and_new_names_come_last(
    client: redis.Redis,
) -> None:
    clock = FakeClock()
    names = EventNames(client, ("*",), clock)
    add(client, f"globex:{SYNC}")
    first = list(names.current())
    add(client, f"acme:{SYNC}")
    clock.advance(TENANT_SCAN_S - 0.01)
    assert list(names.current()) == first
    clock.advance(0.01)
    acme = (f"acme:{name}" for name in (SYNC, *OWN_NAMES))
    assert list(names.current()) == [*first, *acme]


def test_the_names_of_a_tenant_stay_after_its_streams_are_deleted(client: redis.Redis) -> None:
    clock = FakeClock()
    names = EventNames(client, ("*",), clock)
    add(client, f"acme:{SYNC}")
    before = list(names.current())
    client.flushall()
    clock.advance(TENANT_SCAN_S)
    assert list(names.current()) == before


def test_a_failed_scan_is_repeated_by_the_next_call(client: redis.Redis) -> None:
    add(client, f"acme:{SYNC}")
    with closing(open_client("redis://127.0.0.1:1/0")) as away:
        names = EventNames(away, ("*",), FakeClock())
        for _ in range(2):
            with pytest.raises(redis.ConnectionError):
                names.current()
