"""URLs of Sentinels, and what is known of the primary while some or all of them are away."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from time import monotonic

import pytest
import redis

from conductor_actors.adapters.redis.connections.client import open_async_client, open_client
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.connections.sentinels import (
    SentinelGroup,
    SentinelUrl,
    parse_sentinel_url,
)
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import LogEvent, PrimaryChanged, observed_by
from tests.support.sentinels import NAME, WatchedValkeys, watched_valkeys
from tests.support.waiting import wait_until

MAX_DELAY_S = 1.0  # a retry takes longer


@pytest.fixture(scope="module")
def valkeys() -> Iterator[WatchedValkeys]:
    with watched_valkeys() as valkeys:
        yield valkeys


def group_of(*ports: int) -> SentinelGroup:
    return SentinelGroup([("127.0.0.1", port) for port in ports], NAME)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        (
            "redis+sentinel://host:26379,host2/mymaster/0",
            ("redis://host:26379/0", [("host", 26379), ("host2", 26379)], "mymaster"),
        ),
        (
            "rediss+sentinel://u:p%40@h:1,[::1]:2/my%20master?socket_timeout=1",
            ("rediss://u:p%40@h:1/?socket_timeout=1", [("h", 1), ("::1", 2)], "my master"),
        ),
        ("redis://host:6379/0", None),
    ],
)
def test_a_url_has_sentinels_and_the_name_of_the_primary(
    url: str, parts: tuple[str, list[tuple[str, int]], str] | None
) -> None:
    assert parse_sentinel_url(url) == (parts and SentinelUrl(*parts))


@pytest.mark.parametrize("opens", [open_client, open_async_client])
@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://u:secret@host:26379",
        "redis+sentinel://u:secret@host:26379/",
        "redis+sentinel://u:secret@host:26379,/mymaster",
        "redis+sentinel://u:secret@host:26379,host2:port/mymaster",
        "redis+sentinel://u:secret@host:26379,h2;password=secret/mymaster",
        "redis+sentinel://u:sec/ret@host:26379/mymaster/0",
        "unix+sentinel://u:secret@host:26379/mymaster",
    ],
)
def test_an_invalid_url_is_refused_without_its_secrets(
    opens: Callable[[str], object], url: str
) -> None:
    with pytest.raises(ConfigError, match=r"^REDIS_URL .*redis\+sentinel://user") as caught:
        opens(url)
    assert "secret" not in str(caught.value)


def test_a_client_reaches_the_primary(valkeys: WatchedValkeys) -> None:
    with closing(open_client(valkeys.url)) as client:
        pipeline(client, [("SET", "key", "value")])
    assert valkeys.primary.client.get("key") == b"value"


def test_an_unknown_name_is_unavailable(valkeys: WatchedValkeys) -> None:
    url = valkeys.url.replace(NAME, "other")
    with (
        closing(open_client(url)) as client,
        pytest.raises(Unavailable, match="no Sentinel knows a primary 'other' that is up"),
        mapped_errors(),
    ):
        pipeline(client, [("PING",)])


def test_one_sentinel_that_responds_is_enough(valkeys: WatchedValkeys) -> None:
    group = group_of(1, 2, valkeys.sentinels[2].port)
    assert group.address() == ("127.0.0.1", valkeys.primary.port)


def test_a_sentinel_that_is_away_delays_no_read(valkeys: WatchedValkeys) -> None:
    group = group_of(1, 2, valkeys.sentinels[2].port)
    began_s = monotonic()
    group.address()
    assert monotonic() - began_s < MAX_DELAY_S


def test_a_primary_has_moved_only_if_a_sentinel_says_so(valkeys: WatchedValkeys) -> None:
    primary, other = ("127.0.0.1", valkeys.primary.port), ("127.0.0.1", 1)
    group = group_of(valkeys.sentinels[0].port)
    assert (group.has_moved(primary), group.has_moved(other)) == (False, True)
    assert not group_of(1).has_moved(other)  # it does not respond


def test_another_primary_is_reported_once(valkeys: WatchedValkeys) -> None:
    events: list[LogEvent] = []
    group = group_of(*(each.port for each in valkeys.sentinels))
    group.address()
    valkeys.fail_over()
    with observed_by(events.append):
        wait_until(lambda: group.address() == ("127.0.0.1", valkeys.primary.port))
        group.address()
    [changed] = [event for event in events if isinstance(event, PrimaryChanged)]
    assert changed.keys() == {"primary": NAME, "address": f"127.0.0.1:{valkeys.primary.port}"}


def test_a_primary_that_is_being_replaced_is_the_primary_no_more(valkeys: WatchedValkeys) -> None:
    former = ("127.0.0.1", valkeys.primary.port)
    group = group_of(*(each.port for each in valkeys.sentinels))
    valkeys.begin_failover()
    assert group.has_moved(former)
    with suppress(redis.ConnectionError):
        assert group.address() != former
    wait_until(lambda: ("127.0.0.1", valkeys.primary.port) != former)
    assert group.address() == ("127.0.0.1", valkeys.primary.port)
