"""Commands over HTTP: who may give them, and where they go."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import httpx
import pytest
import redis
from structlog.typing import EventDict

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.dashboard.access.auth import Denied
from conductor_actors.dashboard.http.given_commands import (
    MAX_CONCURRENT_COMMANDS,
    GivenCommands,
)
from conductor_actors.dashboard.http.request_body import MAX_BODY_BYTES
from conductor_actors.dashboard.options import Options
from conductor_actors.dashboard.server import Dashboard
from conductor_actors.domain.commands import MAX_QUIET_MS
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import Overloaded
from conductor_actors.instants import to_iso
from conductor_actors.outages import Outage
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Addressed, Serve, upstreams
from tests.dashboard.http.conftest import error, iso
from tests.support.event_samples import COMMANDS
from tests.support.fakes.memory_commands import MemoryCommands

Give = Callable[..., httpx.Response]

HOUR_MS = 3_600_000
KEY = SessionKey("default", "keynote")


def now_ms() -> int:
    return int(time.time() * 1000)


def post(
    dashboard: Addressed,
    body: Any,
    path: str = "sessions/keynote/quiet",
    show: str | None = None,
    **headers: str,
) -> httpx.Response:
    if show is not None:
        headers["Authorization"] = f"Bearer {show}"
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(f"{dashboard.address}api/v1/{path}", content=content, headers=headers)


def commands(url: str, key: str = COMMANDS) -> list[tuple[str, Any]]:
    """Return the commands in a stream with their ids."""
    with closing(open_client(url)) as client:
        entries: Any = client.xrange(key)
    return [(id_.decode(), json.loads(fields[b"data"])) for id_, fields in entries]


def test_a_break_is_accepted_with_the_id_of_its_command(
    serve: Serve, valkey_url: str, log_lines: list[EventDict]
) -> None:
    until = to_iso(now_ms() + HOUR_MS, "milliseconds")
    accepted = post(serve(), {"until": until})
    assert accepted.status_code == 202
    expected = {"command": "quiet", "sessionId": "keynote", "until": until}
    assert commands(valkey_url) == [(accepted.json()["id"], expected)]
    [line] = [line for line in log_lines if line["event"] == "command_given"]
    assert accepted.json()["id"] in line.values()
    assert "keynote" in line.values()


@pytest.mark.parametrize(
    ("until", "written"),
    [
        (None, None),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ("2026-01-04T13:00:00+01:00", "2026-01-04T12:00:00.000Z"),
        ("2026-01-04T12:00:00", "2026-01-04T12:00:00.000Z"),
        ("2026-01-04T12:00:00.1239Z", "2026-01-04T12:00:00.124Z"),
    ],
)
def test_null_or_a_time_that_has_passed_ends_a_break(
    serve: Serve, valkey_url: str, until: str | None, written: str | None
) -> None:
    assert post(serve(), {"until": until}).status_code == 202
    [(_, command)] = commands(valkey_url)
    assert command["until"] == written


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_body"),
        (b"{", "invalid_body"),
        (b"\xff", "invalid_body"),
        (b"[" * 4000, "invalid_body"),
        ([], "invalid_body"),
        ({}, "invalid_body"),
        ({"until": 5}, "invalid_body"),
        ({"until": "x" * 65}, "invalid_body"),
        ({"until": ""}, "invalid_until"),
        ({"until": "tomorrow"}, "invalid_until"),
        ({"until": "2026-02-30T12:00:00Z"}, "invalid_until"),
        ({"until": "9999-12-31T23:59:59-23:00"}, "invalid_until"),
        ({"until": iso(now_ms() + MAX_QUIET_MS + HOUR_MS)}, "invalid_until"),
    ],
)
def test_an_invalid_request_is_refused_with_its_reason(
    serve: Serve, valkey_url: str, body: Any, code: str
) -> None:
    assert error(post(serve(), body)) == (400, code)
    assert commands(valkey_url) == []


def test_a_large_body_is_refused(serve: Serve, valkey_url: str) -> None:
    large = b'{"until": null}' + b" " * MAX_BODY_BYTES
    assert error(post(serve(), large)) == (413, "too_large")
    assert commands(valkey_url) == []


def test_a_token_needs_the_claim_conduct_and_commands_in_its_own_tenant(
    serve: Serve, valkey_url: str
) -> None:
    dashboard = serve(jwt_secret=SECRET)
    quiet = {"until": None}
    assert error(post(dashboard, quiet)) == (401, "token_missing")
    for claim in (None, False, 1, "true", ["acme"]):
        show = token(claims={} if claim is None else {"conduct": claim})
        assert error(post(dashboard, quiet, show=show)) == (403, "conduct_missing")
    conductor = token(claims={"conduct": True})
    other = post(dashboard, quiet, "sessions/keynote/quiet?tenant=globex", conductor)
    assert error(other) == (403, "other_tenant")
    accepted = post(dashboard, quiet, show=conductor)
    assert accepted.status_code == 202
    assert [id_ for id_, _ in commands(valkey_url, f"acme:{COMMANDS}")] == [accepted.json()["id"]]
    assert commands(valkey_url) == []


def test_a_token_of_some_sessions_commands_in_these_alone(serve: Serve) -> None:
    dashboard = serve(jwt_secret=SECRET)
    show = token(claims={"conduct": True, "sessions": ["keynote"]})
    assert post(dashboard, {"until": None}, show=show).status_code == 202
    other = post(dashboard, {"until": None}, "sessions/other/quiet", show)
    assert error(other) == (403, "other_session")


def test_without_a_key_only_clients_on_this_machine_command(serve: Serve, valkey_url: str) -> None:
    anybody = serve(host="0.0.0.0", allow_anonymous=True)
    assert error(post(anybody, {"until": None})) == (403, "conduct_missing")
    proxied = serve(trusted_proxies=("127.0.0.1",))
    remote = post(proxied, {"until": None}, **{"X-Forwarded-For": "192.0.2.7"})
    assert error(remote) == (403, "conduct_missing")
    assert commands(valkey_url) == []
    assert post(proxied, {"until": None}).status_code == 202


def test_without_a_key_any_tenant_is_commanded_on_loopback(serve: Serve, valkey_url: str) -> None:
    assert post(serve(), {"until": None}, "sessions/s/quiet?tenant=acme").status_code == 202
    assert len(commands(valkey_url, f"acme:{COMMANDS}")) == 1


def test_a_page_of_another_site_commands_nothing(serve: Serve, valkey_url: str) -> None:
    refused = post(serve(), {"until": None}, Origin="https://example.com")
    assert error(refused) == (403, "unknown_origin")
    assert commands(valkey_url) == []


def test_a_page_of_an_allowed_site_may_command(serve: Serve) -> None:
    dashboard = serve(jwt_secret=SECRET, allowed_origins=("https://example.com",))
    asked = httpx.options(
        f"{dashboard.address}api/v1/sessions/keynote/quiet",
        headers={
            "Origin": "https://example.com",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert asked.status_code == 200
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize(
    ("path", "session_id"),
    [
        ("sessions/quiet", "."),
        ("quiet", ".."),
        ("sessions/a%2Fb/quiet", "a/b"),
        ("sessions/sessions/quiet/quiet", "sessions/quiet"),
        ("sessions/%F0%9F%98%80/quiet", "😀"),
    ],
)
def test_any_session_id_is_commanded(
    serve: Serve, valkey_url: str, path: str, session_id: str
) -> None:
    assert post(serve(), {"until": None}, path).status_code == 202
    [(_, command)] = commands(valkey_url)
    assert command["sessionId"] == session_id


@pytest.mark.parametrize("path", ["sessions/a%00b/quiet", f"sessions/{'x' * 256}/quiet"])
def test_an_id_that_no_session_can_have_is_refused(serve: Serve, path: str) -> None:
    assert error(post(serve(), {"until": None}, path)) == (400, "invalid_session")


def test_a_command_is_not_read(serve: Serve) -> None:
    assert httpx.get(f"{serve().address}api/v1/sessions/keynote/quiet").status_code == 405


def test_redis_that_is_away_is_503_with_its_reason(shared_database: str) -> None:
    dashboard = Dashboard(Options(port=0), upstreams("redis://127.0.0.1:1/0", shared_database))
    dashboard.start()
    try:
        refused = post(dashboard, {"until": None})
    finally:
        dashboard.stop()
    assert error(refused) == (503, "redis_unavailable")
    assert refused.headers["Retry-After"] == "5"


def test_redis_that_refuses_the_command_is_503(serve: Serve, redis_client: redis.Redis) -> None:
    redis_client.set(COMMANDS, "no stream")
    assert error(post(serve(), {"until": None})) == (503, "redis_unavailable")


@pytest.mark.anyio
async def test_commands_over_the_limit_are_refused_at_once() -> None:
    writer = MemoryCommands()
    writer.is_open.clear()
    given = GivenCommands(writer, Outage("redis commands"))
    waiting = [
        asyncio.create_task(given.give(KEY, "quiet", b"%d" % number))
        for number in range(MAX_CONCURRENT_COMMANDS)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await given.give(KEY, "quiet", b"one more")
    writer.is_open.set()
    ids = await asyncio.gather(*waiting)
    assert len(set(ids)) == len(writer.written) == MAX_CONCURRENT_COMMANDS
    assert await given.give(KEY, "quiet", b"again")


@pytest.mark.anyio
async def test_an_outage_is_reported_and_ends_with_the_next_command() -> None:
    writer, outage = MemoryCommands(), Outage("redis commands")
    given = GivenCommands(writer, outage)
    writer.is_away = True
    with pytest.raises(Denied) as refused:
        await given.give(KEY, "quiet", b"{}")
    assert (refused.value.status, outage.state) == (503, "away")
    writer.is_away = False
    await given.give(KEY, "quiet", b"{}")
    assert outage.state == "ok"


@pytest.mark.anyio
async def test_the_connections_are_closed_at_the_end() -> None:
    writer = MemoryCommands()
    running = asyncio.create_task(GivenCommands(writer, Outage("redis commands")).run())
    await asyncio.sleep(0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert writer.is_closed
