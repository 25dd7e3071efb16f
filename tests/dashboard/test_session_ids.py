"""An id is opaque text: every one of 1 to 255 characters is found by path, query and request."""

from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlencode, urljoin

import httpx
import pytest

from tests.dashboard.conftest import Connect, Serve, this_tick_ms
from tests.dashboard.raw import RawSocket
from tests.support.score_rows import AT_MS, row

Write = Callable[..., None]

IDS: Final = (
    *("\n", "a\n", "\nb", "a\nb", "a\r\nb", "\t", " ", "\u2028", "\x1e", "\x7f"),
    *(".", "..", "...", "./", "../", "/.", "/..", "a/..", "a/../b", "../.."),
    *("/", "//", "/a", "a/", "a//b", "%", "%2e", "%2E%2E", "%0A", "%2F", "+", "a+b", "a b"),
    *("history", "/history", "a/history", "sessions", "api/v1/sessions", "explanation"),
    *("?", "#", "a?b=c&d", "#/session/x", ";", "\\", "..\\", '"', "'", "<b>", "ä", "😀", "x" * 255),
)


def resolved(address: str, session_id: str, leaf: str) -> str:
    """Return the URL to which a browser resolves the path of a session."""
    path = f"api/v1/sessions/{quote(session_id, safe='')}/{leaf}"
    return urljoin(address, path)


def test_the_api_finds_every_id(serve: Serve, store: Write) -> None:
    store(*(row(each, AT_MS) for each in IDS))
    address = serve().address
    history = "history?from=2026-01-04T12:00:00Z&to=2026-01-04T12:01:00Z"
    for leaf in ("explanation", "about", "timeline?to=2026-01-04T12:01:00Z", history):
        with httpx.Client() as client:
            found = [client.get(resolved(address, each, leaf)) for each in IDS]
        assert [each.json().get("sessionId") for each in found] == list(IDS)


def test_one_request_returns_the_histories_of_many_ids(serve: Serve, store: Write) -> None:
    store(*(row(each, AT_MS) for each in IDS))
    query = urlencode(
        {"session": IDS, "from": "2026-01-04T12:00:00Z", "to": "2026-01-04T12:01:00Z"}, doseq=True
    )
    found = httpx.get(f"{serve().address}api/v1/histories?{query}").json()["histories"]
    assert [each["sessionId"] for each in found] == list(IDS)
    assert {len(each["points"]) for each in found} == {1}


@pytest.mark.parametrize("segment", [".", "..", "%2e", "%2E%2E"])
def test_the_api_finds_ids_of_dots_for_clients_that_do_not_resolve_them(
    serve: Serve, store: Write, segment: str
) -> None:
    session_id = segment.replace("%2e", ".").replace("%2E", ".")
    store(row(session_id, AT_MS))
    with RawSocket(serve().address) as client:
        path = f"/api/v1/sessions/{segment}/explanation"
        client.send(
            f"GET {path} HTTP/1.1\r\nHost: {client.host}\r\nConnection: close\r\n\r\n".encode()
        )
        assert client.is_closed()
        assert f'"sessionId":"{session_id}"'.encode() in client.received


@pytest.mark.anyio
async def test_a_client_subscribes_to_every_id(
    serve: Serve, connect: Connect, publish: Write
) -> None:
    dashboard = serve()
    client = await connect(dashboard)
    for session_id in IDS:
        assert await client.subscribe(session_id) == {"ok": True}
        assert (await client.body("engagement:history"))["sessionId"] == session_id
        publish(row(session_id, this_tick_ms()))
        assert (await client.body("engagement:update"))["sessionId"] == session_id
        assert await client.call("unsubscribe:engagement", sessionId=session_id) == {"ok": True}


@pytest.mark.anyio
@pytest.mark.parametrize("session_id", ["a\nb", "..", " ", "a+b&c", "%0A", "#"])
async def test_a_client_names_any_id_in_its_url(
    serve: Serve, connect: Connect, session_id: str
) -> None:
    query = urlencode({"sessionId": session_id})
    client = await connect(serve(), query=f"?{query}")
    assert (await client.body("engagement:history"))["sessionId"] == session_id
