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
from conductor_actors.domain.events import DECODERS
from tests.support.event_samples import CHAT, COMMANDS, EVENT_NAMES, STREAM_NAMES, SYNC
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
    assert sorted(names.channels()) == sorted(EVENT_NAMES)
    assert names.channel_patterns() == []


def test_commands_are_read_from_streams_alone(client: redis.Redis) -> None:
    add(client, f"globex:{SYNC}")
    for tenants in ((), ("acme",), ("*", "acme")):
        names = EventNames(client, tenants)
        commands = [name for name in names.current() if COMMANDS in name]
        assert names.commands() == commands
        heard = [*names.channels(), *names.channel_patterns()]
        assert not [name for name in heard if COMMANDS in name]
    assert commands == [COMMANDS, f"acme:{COMMANDS}", f"globex:{COMMANDS}"]


def test_each_named_tenant_has_all_names_even_if_they_do_not_exist(
    client: redis.Redis,
) -> None:
    names = EventNames(client, ("acme", "globex"))
    expected = [prefix + name for prefix in ("", "acme:", "globex:") for name in DECODERS]
    assert names.current() == expected
    assert names.channels() == [name for name in expected if not name.endswith(COMMANDS)]
    assert names.channel_patterns() == []


def test_tenants_are_discovered_by_their_streams(client: redis.Redis) -> None:
    client.lpush(f"listed:{SYNC}", "x")
    client.set(f"text:{SYNC}", "x")
    add(client, f"globex:{SYNC}", f"acme:{CHAT}", f"ACME:{SYNC}", "acme:other", b"\xff:" + b"x")
    names = EventNames(client, ("*",))
    found = [f"acme:{CHAT}", f"acme:{COMMANDS}", f"globex:{SYNC}", f"globex:{COMMANDS}"]
    assert names.current() == [*DECODERS, *found]


def test_a_channel_that_a_pattern_matches_is_not_subscribed_to_by_name(client: redis.Redis) -> None:
    add(client, f"globex:{SYNC}")
    names = EventNames(client, ("*", "acme"))
    assert f"globex:{SYNC}" in names.current()
    assert sorted(names.channels()) == sorted(EVENT_NAMES)
    assert names.channel_patterns() == [f"*:{name}" for name in names.channels()]


def test_tenants_are_discovered_among_many_other_keys(client: redis.Redis) -> None:
    client.mset({f"cache:{number}": "x" for number in range(5000)})
    add(client, *(f"tenant-{number}:{SYNC}" for number in range(500)))
    assert len(EventNames(client, ("*",)).current()) == len(STREAM_NAMES) + 2 * 500


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
    assert list(names.current()) == [*first, f"acme:{SYNC}", f"acme:{COMMANDS}"]


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
