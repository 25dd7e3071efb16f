"""A subscription is answered once: by an acknowledgement or an event, and by one history."""

import asyncio
from collections.abc import Callable

import pytest

from conductor_actors.dashboard.realtime import client_requests
from tests.dashboard.clients import SECRET, Client, token
from tests.dashboard.conftest import Connect, Serve, this_tick_ms
from tests.support.score_rows import row

pytestmark = pytest.mark.anyio

Write = Callable[..., None]

MALFORMED = "sessionId is missing or no text of 1 to 255 characters"
OTHER = "this session is not among those of your token"


async def test_a_refused_request_without_an_acknowledgement_is_answered_by_an_event(
    serve: Serve, connect: Connect
) -> None:
    shown = token(claims={"sessions": ["mine"]})
    client = await connect(serve(jwt_secret=SECRET), show=shown)
    for event, session_id, error in (
        ("subscribe:engagement", "other", OTHER),
        ("subscribe:engagement", "x" * 256, MALFORMED),
        ("subscribe:engagement", 7, MALFORMED),
        ("unsubscribe:engagement", None, MALFORMED),
        ("subscribe:engagment", "mine", "not understood"),
    ):
        await client.emit(event, sessionId=session_id)
        named = session_id if session_id in ("other", "mine") else None
        assert await client.body("subscription:error") == {
            "request": event,
            "sessionId": named,
            "error": error,
        }


async def test_a_request_that_is_accepted_or_acknowledged_causes_no_event(
    serve: Serve, connect: Connect
) -> None:
    shown = token(claims={"sessions": ["mine"]})
    client = await connect(serve(jwt_secret=SECRET), show=shown)
    await client.emit("subscribe:engagement", sessionId="mine")
    assert (await client.body("engagement:history"))["sessionId"] == "mine"
    assert await client.subscribe("other") == {"ok": False, "error": OTHER}
    await _assert_nothing_waits(client)


@pytest.mark.parametrize("namespace", ["/", "/events"])
async def test_a_session_in_the_url_that_is_refused_causes_an_event(
    serve: Serve, connect: Connect, namespace: str
) -> None:
    shown = token(claims={"sessions": ["mine"]})
    dashboard = serve(jwt_secret=SECRET)
    client = await connect(dashboard, namespace=namespace, show=shown, query="?sessionId=other")
    assert await client.body("subscription:error") == {
        "request": "subscribe:engagement",
        "sessionId": "other",
        "error": OTHER,
    }


@pytest.mark.parametrize("namespace", ["/", "/events"])
async def test_a_session_that_is_named_in_the_url_and_subscribed_to_has_one_history(
    serve: Serve,
    connect: Connect,
    publish: Write,
    session_id: str,
    namespace: str,
) -> None:
    client = await connect(serve(), namespace=namespace, query=f"?sessionId={session_id}")
    assert await client.subscribe(session_id) == {"ok": True}
    await client.body("engagement:history")
    publish(row(session_id, this_tick_ms()))
    await client.body("engagement:update")
    await _assert_nothing_waits(client)


async def test_every_further_subscription_has_a_history(
    serve: Serve, connect: Connect, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dashboard = serve()
    client = await connect(dashboard, query=f"?sessionId={session_id}")
    await client.body("engagement:history")
    await client.subscribe(session_id)
    for _ in range(2):
        await client.subscribe(session_id)
        await client.body("engagement:history")

    client = await connect(dashboard, query=f"?sessionId={session_id}")
    await client.body("engagement:history")
    await client.call("unsubscribe:engagement", sessionId=session_id)
    await client.subscribe(session_id)
    await client.body("engagement:history")

    monkeypatch.setattr(client_requests, "QUERY_HISTORY_S", 0)
    client = await connect(dashboard, query=f"?sessionId={session_id}")
    await client.body("engagement:history")
    await client.subscribe(session_id)
    await client.body("engagement:history")


async def _assert_nothing_waits(client: Client) -> None:
    """Assert that nothing was sent before the response to another request, but for updates."""
    await client.call("agent:subscribe")
    await asyncio.sleep(0)
    assert client.received.empty()
