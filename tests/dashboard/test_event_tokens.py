"""A token for an event opens the sessions of that event only: in every path, and by Socket.IO."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from conductor_actors.dashboard.http import openapi
from conductor_actors.dashboard.server import Dashboard
from tests.dashboard.clients import SECRET, Client, token
from tests.dashboard.conftest import WITHIN_S, Connect, Serve, this_tick_ms
from tests.support.score_rows import row

pytestmark = pytest.mark.anyio

Write = Callable[..., None]

OTHER = "this session is not among those of your token"
ALL_CLAIMS = {"conduct": True, "admin": True}


class Show:
    """Two events of a tenant, each with a live session and one of which rows are stored only."""

    def __init__(self, dashboard: Dashboard, publish: Write, store: Write) -> None:
        name = uuid4().hex
        self.dashboard = dashboard
        self.name = name
        self.event, self.other_event = f"expo-{name}", f"other-{name}"
        self.live, self.ended = f"live-{name}", f"ended-{name}"
        self.other_live, self.other_ended = f"other-live-{name}", f"other-ended-{name}"
        for event, live, ended in (
            (self.event, self.live, self.ended),
            (self.other_event, self.other_live, self.other_ended),
        ):
            publish(row(live, this_tick_ms(), event_id=event, tenant_id="acme"))
            store(row(ended, event_id=event, tenant_id="acme"))
        self.show = token(claims={"events": [self.event], **ALL_CLAIMS})
        self._wait_until_live()

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return httpx.request(
            method,
            self.dashboard.address.rstrip("/") + path,
            headers={"Authorization": f"Bearer {self.show}"},
            **options,
        )

    def _wait_until_live(self) -> None:
        until_s = time.monotonic() + WITHIN_S
        every = {"Authorization": f"Bearer {token()}"}
        url = f"{self.dashboard.address}api/v1/sessions"
        while True:
            found = httpx.get(url, headers=every).json()["sessions"]
            if {self.live, self.other_live} <= {one["sessionId"] for one in found}:
                return
            assert time.monotonic() < until_s, "not live in time"


@pytest.fixture
def show(serve: Serve, publish: Write, store: Write) -> Show:
    return Show(serve(jwt_secret=SECRET), publish, store)


def _paths_of_a_session() -> Iterator[tuple[str, str]]:
    for path, methods in openapi.document()["paths"].items():
        if "{id}" in path or "{session}" in path:
            for method in methods:
                yield method.upper(), path


def test_every_path_of_a_session_is_open_to_the_token_of_its_event_only(show: Show) -> None:
    paths = list(_paths_of_a_session())
    assert len(paths) >= 11
    for method, template in paths:
        path = template.replace("{decision}", str(uuid4()))

        def status(session_id: str, path: str = path, method: str = method) -> tuple[int, str]:
            body = b"{}" if method in {"POST", "PUT"} else None
            filled = re.sub(r"\{(id|session)\}", session_id, path)
            response = show.send(method, filled, content=body)
            return response.status_code, response.text

        for mine in (show.live, show.ended):
            code, text = status(mine)
            assert code not in {401, 403}, (method, path, text)
        for other in (show.other_live, show.other_ended, "unknown"):
            code, text = status(other)
            assert (code, "other_session" in text) == (403, True), (method, path, text)


def test_sessions_in_bodies_and_parameters_are_those_of_the_event_only(show: Show) -> None:
    for mine, other in ((show.live, show.other_live), (show.ended, show.other_ended)):
        for method, path, how in (
            ("GET", "/api/v1/anomalies?session={}", {}),
            ("GET", "/api/v1/histories?session={}", {}),
            ("POST", "/api/v1/agent/sessions/register", {"json": {"session_id": "{}"}}),
            (
                "POST",
                "/api/v1/interventions/manual",
                {"json": {"session_id": "{}", "intervention_type": "POLL", "reason": "Now"}},
            ),
        ):

            def send(
                session_id: str, method: str = method, path: str = path, how: Any = how
            ) -> Any:
                body = {
                    key: value.replace("{}", session_id)
                    for key, value in how.get("json", {}).items()
                }
                options = {"json": body} if body else {}
                return show.send(method, path.format(session_id), **options)

            assert send(mine).status_code != 403, path
            assert send(other).json()["error"]["code"] == "other_session", path


def test_the_mode_of_an_event_can_be_set_by_the_token_of_that_event_only(show: Show) -> None:
    path = "/api/v1/agent/events/{}/mode"
    assert show.send("PUT", path.format(show.event), json={"mode": "OFF"}).status_code == 200
    for event in (show.other_event, show.live):
        refused = show.send("PUT", path.format(event), json={"mode": "OFF"})
        assert refused.json()["error"]["code"] == "other_session"
    refused = show.send("PUT", "/api/v1/agent/templates", json={"templates": {}})
    assert refused.json()["error"]["code"] == "other_session"


def test_the_list_of_live_sessions_has_those_of_the_event_only(show: Show) -> None:
    listed = show.send("GET", "/api/v1/sessions").json()["sessions"]
    assert [one["sessionId"] for one in listed] == [show.live]


def test_no_list_names_a_session_or_an_event_of_another_event(
    show: Show, shared_database: str
) -> None:
    _store_titles(shared_database, show)
    lists = [path for path, how in openapi.document()["paths"].items() if "get" in how]
    queries = {
        "/api/v1/sessions": ["", "?state=all", "?state=ended", f"?state=all&search={show.name}"],
        "/api/v1/anomalies": ["", "?open=true"],
        "/api/v1/histories": [f"?session={show.ended}"],
        "/api/v1/events/overview": [f"?event={show.event}"],
        "/api/v1/events/report": [f"?event={show.event}"],
        "/api/v1/export": ["", "?format=jsonl", f"?event={show.event}"],
    }
    for path in lists:
        for query in queries.get(path, [""]) if "{" not in path else []:
            response = show.send("GET", path + query)
            assert response.status_code == 200, (path, response.text)
            for name in (show.other_event, show.other_live, show.other_ended):
                assert name not in response.text, (path, response.text)
    for path in ("/api/v1/events/overview", "/api/v1/events/report", "/api/v1/export"):
        response = show.send("GET", f"{path}?event={show.other_event}")
        assert response.status_code in {403, 404}, (path, response.text)
    listed = show.send("GET", "/api/v1/sessions?state=all").json()["sessions"]
    assert {one["sessionId"] for one in listed} == {show.ended}
    assert show.send("GET", "/api/v1/events").json()["events"][0]["eventId"] == show.event


def _store_titles(url: str, show: Show) -> None:
    with psycopg.connect(url) as connection:
        for session_id in (show.live, show.ended, show.other_live, show.other_ended):
            connection.execute(
                "INSERT INTO session_titles (tenant_id, session_id, title, updated_at)"
                " VALUES ('acme', %s, %s, now())",
                (session_id, f"Title of {session_id}"),
            )
        for event_id in (show.event, show.other_event):
            connection.execute(
                "INSERT INTO event_titles (tenant_id, event_id, title, updated_at)"
                " VALUES ('acme', %s, %s, now())",
                (event_id, f"Title of {event_id}"),
            )


@pytest.mark.parametrize("event", ["subscribe:engagement", "agent:subscribe"])
async def test_a_client_subscribes_to_sessions_of_the_event_only(
    show: Show, connect: Connect, event: str
) -> None:
    client = await connect(show.dashboard, show=show.show)
    for mine in (show.live, show.ended):
        answer = await client.call(event, sessionId=mine)
        assert answer.get("ok") or answer.get("success"), answer
    for other in (show.other_live, show.other_ended, "unknown"):
        assert (await client.call(event, sessionId=other))["error"] == OTHER


async def test_a_session_of_another_event_in_the_url_is_refused(
    show: Show, connect: Connect
) -> None:
    client = await connect(show.dashboard, show=show.show, query=f"?sessionId={show.other_ended}")
    assert (await client.body("subscription:error"))["error"] == OTHER


async def test_the_list_by_socketio_has_sessions_of_the_event_only(
    show: Show, connect: Connect, publish: Write
) -> None:
    client = await connect(show.dashboard, show=show.show)
    assert await client.call("subscribe:sessions") == {"ok": True}
    assert _ids(await client.body("sessions:update")) == [show.live]
    for session_id, event in ((show.other_live, show.other_event), (show.live, show.event)):
        publish(row(session_id, this_tick_ms() + 5000, event_id=event, tenant_id="acme"))
    assert _ids(await client.body("sessions:update")) == [show.live]


async def test_a_subscription_ends_when_the_session_turns_out_to_be_of_another_event(
    show: Show, connect: Connect, publish: Write, session_id: str
) -> None:
    """Until its real event is known, a session's event is its own id."""
    publish(row(session_id, this_tick_ms(), event_id=session_id, tenant_id="acme"))
    client = await connect(show.dashboard, show=token(claims={"events": [session_id]}))
    assert (await _subscribe_when_live(client, session_id)) == {"ok": True}
    await client.body("engagement:history")
    publish(row(session_id, this_tick_ms() + 5000, event_id="real", tenant_id="acme"))
    await client.body("engagement:update")
    assert await client.body("subscription:error") == {
        "request": "subscribe:engagement",
        "sessionId": session_id,
        "error": OTHER,
    }
    publish(row(session_id, this_tick_ms() + 10_000, event_id="real", tenant_id="acme"))
    assert (await client.subscribe(session_id))["error"] == OTHER
    assert client.received.empty()


async def _subscribe_when_live(client: Client, session_id: str) -> Any:
    until_s = time.monotonic() + WITHIN_S
    while not (answer := await client.subscribe(session_id))["ok"]:
        assert time.monotonic() < until_s, answer
    return answer


def _ids(body: Any) -> list[str]:
    return [one["sessionId"] for one in body["sessions"]]
