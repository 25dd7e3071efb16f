"""A namespace stands before every key and channel of a client, and is in no reply."""

import re
from contextlib import closing
from typing import Any

import pytest
import redis
from structlog.typing import EventDict

from conductor_actors.adapters.redis.access_check import check
from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.namespaces import (
    add_prefix,
    prefix_of,
    split_namespace,
    with_namespace,
)
from conductor_actors.adapters.redis.connections.redis_errors import SERVICE_GRANTS
from conductor_actors.adapters.redis.events.event_source import RedisSource, SourceOptions
from tests.adapters.redis.acl_users import acl_user, as_user, granted_rules
from tests.support.event_samples import CHAT, SYNC
from tests.support.waiting import becomes_true

URL = "redis://host:6379/0"
PARAMETERS = {"XREAD": ("STREAMS", "a", "0"), "EVAL": ("return 1", 1, "a", "b")}


def test_a_namespace_is_a_parameter_at_the_end_of_a_url_and_replaces_another() -> None:
    staging = with_namespace(URL, "staging")
    assert split_namespace(staging) == (URL, "staging:")
    assert with_namespace(staging, "staging") == staging
    assert with_namespace(staging, "") == URL
    with_options = f"{URL}?socket_timeout=3"
    assert split_namespace(with_namespace(with_options, "qa")) == (with_options, "qa:")
    assert split_namespace(URL) == (URL, "")


@pytest.mark.parametrize(
    ("command", "prefixed"),
    [
        (("GET", "a"), ("GET", "n:a")),
        (("SET", "a", "b", "PX", 1), ("SET", "n:a", "b", "PX", 1)),
        (("WATCH", "a", "b"), ("WATCH", "n:a", "n:b")),
        (("PSUBSCRIBE", "*:a"), ("PSUBSCRIBE", "n:*:a")),
        (("XINFO", "STREAM", "a"), ("XINFO", "STREAM", "n:a")),
        (("BLPOP", "a", 1.0), ("BLPOP", "n:a", 1.0)),
        (("EVAL", "return 1", 1, "a", "b"), ("EVAL", "return 1", 1, "n:a", "b")),
        (("TIME",), ("TIME",)),
        (
            ("XREAD", "COUNT", 9, "STREAMS", "a", "b", b"1", b"2"),
            ("XREAD", "COUNT", 9, "STREAMS", "n:a", "n:b", b"1", b"2"),
        ),
    ],
)
def test_each_key_of_a_command_gets_the_prefix(
    command: tuple[Any, ...], prefixed: tuple[Any, ...]
) -> None:
    assert add_prefix(command, "n:") == prefixed
    assert add_prefix(command, "") == command


def test_every_granted_command_is_known_and_another_is_an_error() -> None:
    granted = [word[1:].upper() for word in SERVICE_GRANTS.split() if word.startswith("+")]
    sent_by_redis_py = {"SELECT", "CLIENT|SETINFO"}
    for name in {*granted} - sent_by_redis_py:
        parameters = PARAMETERS.get(name, ("a", "b", "c"))
        add_prefix((*name.split("|"), *parameters), "n:")
    with pytest.raises(LookupError):
        add_prefix(("SORT", "a"), "n:")


def test_streams_and_channels_are_read_under_the_namespace_and_tenants_found_in_it(
    client: redis.Redis, valkey_url: str
) -> None:
    url = with_namespace(valkey_url, "staging")
    body = b"{}"
    for name in (SYNC, f"acme:{SYNC}", "staging:acme:" + SYNC, "staging:" + CHAT):
        client.xadd(name, {"data": body})
    with closing(RedisSource(url, SourceOptions(tenants=("*",), start="earliest"))) as source:
        entries = [*source.read().entries]
        client.publish(f"acme:{SYNC}", body)
        client.publish(f"staging:globex:{SYNC}", body)
        client.publish(f"staging:{SYNC}", body)

        def has_all() -> bool:
            entries.extend(source.read().entries)
            return len(entries) == 4

        assert becomes_true(has_all, 10)
    assert sorted(name for *_, name, _ in entries) == [
        f"acme:{SYNC}",
        f"globex:{SYNC}",
        CHAT,
        SYNC,
    ]


def test_the_grants_with_the_prefix_after_each_mark_are_enough(
    client: redis.Redis, valkey_url: str
) -> None:
    rules = [re.sub("([~&])", r"\1staging:", rule) for rule in granted_rules()]
    with acl_user(client, *rules):
        results = check(with_namespace(as_user(valkey_url), "staging"), tenants=("*", "acme"))
    assert all(result.ok for result in results), results


def test_a_database_with_a_number_and_without_a_namespace_is_a_warning(valkey_url: str) -> None:
    numbered = valkey_url.rpartition("/")[0] + "/1"
    [warning] = [result for result in check(numbered) if result.is_warning]
    assert warning.ok
    assert "database 1: pub/sub knows no database number" in warning.line
    for url in (valkey_url, with_namespace(numbered, "staging")):
        assert not any(result.is_warning for result in check(url))
        assert all(result.ok for result in check(url))


def test_prefixes_that_are_no_tenants_are_reported_once_each(
    client: redis.Redis, valkey_url: str, log_lines: list[EventDict]
) -> None:
    for name in (f"Acme:{SYNC}", f"Acme:{CHAT}", "Acme:else"):
        client.xadd(name, {"data": b""})
    with closing(RedisSource(valkey_url, SourceOptions(tenants=("*",)))) as source:
        source.read()
        for name in (f"acme_inc:{SYNC}", f"acme_inc:{CHAT}", f"Acme:{SYNC}", f"acme:{SYNC}"):
            client.publish(name, b"{}")
        assert becomes_true(lambda: bool(source.read().entries), 10)
    prefixes = [line["prefix"] for line in log_lines if line["event"] == "tenant_ignored"]
    assert prefixes == ["Acme", "acme_inc"]


def test_a_client_without_a_namespace_has_no_prefix(valkey_url: str) -> None:
    with closing(open_client(valkey_url)) as client:
        assert prefix_of(client) == ""
