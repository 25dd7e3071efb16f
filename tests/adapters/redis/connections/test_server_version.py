"""Versions of Redis: too old, outdated, and new enough."""

import pytest

from conductor_actors.adapters.redis.access_check import check
from conductor_actors.adapters.redis.connections.server_version import (
    is_outdated,
    report_outdated,
    require_version,
)
from conductor_actors.errors import ConfigError
from conductor_actors.log_events import LogEvent, RedisOutdated, observed_by
from tests.support.oldest_redis import redis_7_0
from tests.support.valkey_servers import ServerKind, valkey_server


@pytest.mark.parametrize("version", ["5.0.6", "6.0.16"])
def test_a_version_that_is_too_old_is_refused(version: str) -> None:
    with pytest.raises(ConfigError, match=rf"^REDIS_URL: .*{version}.* 6\.2 or later"):
        require_version(version)


@pytest.mark.parametrize(
    ("version", "outdated"),
    [("6.2.14", True), ("7.0.15", False), ("10.0.1", False), ("255.255.255", False), ("df", False)],
)
def test_a_version_that_is_new_enough_is_accepted(version: str, *, outdated: bool) -> None:
    require_version(version)
    assert is_outdated(version) == outdated


def test_an_outdated_version_is_reported_once() -> None:
    events: list[LogEvent] = []
    with observed_by(events.append):
        for reply in ({b"version": b"6.2.1"}, [b"version", b"6.2.1"], ValueError("no HELLO")):
            report_outdated(reply)
        report_outdated({b"version": b"7.0.15"})
    [event] = events
    assert isinstance(event, RedisOutdated)
    assert event.version == "6.2.1"


def test_check_has_no_objection_to_redis_7_0() -> None:
    with valkey_server(kind=ServerKind(redis_7_0())) as server:
        [version, *others] = check(server.url)
    assert version.line.startswith("redis: Redis 7.0.")
    assert not any(each.is_warning or not each.ok for each in (version, *others))
