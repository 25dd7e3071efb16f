"""Requests to the conductor over HTTP, and what they left in Redis and the database."""

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import httpx

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.domain.commands import decode_command
from tests.dashboard.conftest import Addressed
from tests.dashboard.stored_agents import store_interventions
from tests.support.event_samples import COMMANDS

Write = Callable[..., None]

CONDUCTOR = {"conduct": True}
OF_SESSION = "agent/sessions/keynote"
EDITED = {"message": "Which of the two would you try first?"}


def send(
    dashboard: Addressed,
    method: str,
    path: str,
    body: Any = None,
    show: str | None = None,
    **headers: str,
) -> httpx.Response:
    if show is not None:
        headers["Authorization"] = f"Bearer {show}"
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    url = f"{dashboard.address}api/v1/{path}"
    return httpx.request(method, url, content=content, headers=headers)


def commands(url: str, key: str = COMMANDS) -> list[Any]:
    """Return the commands in a stream; each is one that the collector can read."""
    with closing(open_client(url)) as client:
        entries: Any = client.xrange(key)
    bodies = [fields[b"data"] for _, fields in entries]
    for body in bodies:
        assert decode_command(body, 0)
    return [json.loads(body) for body in bodies]


def stored(url: str, *records: Any, session_id: str = "keynote", **more: Any) -> str:
    """Store interventions of a session; return the id of the last one."""
    store_interventions(url, *records, session_id=session_id, **more)
    return str(records[-1].id)


def answer(dashboard: Addressed, what: str, decision_id: str, body: Any = None) -> httpx.Response:
    return send(dashboard, "POST", f"{OF_SESSION}/decisions/{decision_id}/{what}", body)
