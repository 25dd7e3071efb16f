"""Sentinels and servers that demand TLS, client certificates and passwords."""

from collections.abc import Iterator
from contextlib import closing, suppress
from time import monotonic

import pytest

from conductor_actors.adapters.redis.connections.client import open_async_client, open_client
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.events.event_source import RedisSource, SourceOptions
from conductor_actors.errors import Unavailable
from tests.support.certificates import Certificate, self_signed_certificate
from tests.support.event_samples import SYNC
from tests.support.oldest_redis import redis_7_0
from tests.support.sentinels import PASSWORD, WatchedValkeys, watched_valkeys
from tests.support.valkey_servers import ServerKind
from tests.support.waiting import wait_until

MAX_MOVE_S = 10.0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def servers(certificate: Certificate) -> Iterator[WatchedValkeys]:
    with watched_valkeys(ServerKind(redis_7_0(), certificate, PASSWORD)) as servers:
        yield servers


def test_a_client_reaches_the_primary(servers: WatchedValkeys, certificate: Certificate) -> None:
    with closing(open_client(servers.tls_url(**certificate.client_options()))) as client:
        pipeline(client, [("SET", "key", "value")])
    assert servers.primary.client.get("key") == b"value"


@pytest.mark.anyio
async def test_a_client_of_an_event_loop_reaches_the_primary(
    servers: WatchedValkeys, certificate: Certificate
) -> None:
    client = open_async_client(servers.tls_url(**certificate.client_options()))
    await client.set("other", "value")
    await client.aclose()
    assert servers.primary.client.get("other") == b"value"


def test_events_are_read_on_from_the_next_primary(
    servers: WatchedValkeys, certificate: Certificate
) -> None:
    url = servers.tls_url(**certificate.client_options())
    with closing(RedisSource(url, SourceOptions("both"))) as source:
        source.read()
        servers.fail_over()
        servers.primary.client.xadd(SYNC, {"data": b"new"})
        began_s = monotonic()
        bodies: list[bytes] = []

        def has_read() -> bool:
            with suppress(Unavailable):
                bodies.extend(entry[3] for entry in source.read().entries)
            return bodies == [b"new"]

        wait_until(has_read, MAX_MOVE_S)
        assert monotonic() - began_s < MAX_MOVE_S


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("ssl_ca_certs", "certificate verify failed"),
        ("ssl_certfile", "primary 'mymaster' that is up: Error"),
        ("sentinel_password", "Authentication required"),
    ],
)
def test_what_is_missing_in_the_url_is_named(
    servers: WatchedValkeys, certificate: Certificate, missing: str, message: str
) -> None:
    options = {"sentinel_password": "other"} | certificate.client_options()
    del options[missing]
    if missing == "ssl_certfile":
        del options["ssl_keyfile"]
    url = servers.tls_url(**({"sentinel_password": ""} | options))
    with (
        closing(open_client(url)) as client,
        pytest.raises(Unavailable, match=message),
        mapped_errors(),
    ):
        pipeline(client, [("PING",)])
