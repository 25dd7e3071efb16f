"""What actions say: the texts of a tenant, read and replaced over HTTP."""

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import msgspec
import pytest

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.domain.conductor.templates import DEFAULT_TEMPLATES, PLACEHOLDERS
from tests.dashboard.conftest import Serve
from tests.dashboard.http.agent_requests import commands, send
from tests.dashboard.http.conftest import error
from tests.support.event_samples import COMMANDS

Write = Callable[..., None]

POLL = {
    "poll": {
        "question": "Which?",
        "options": ["a", "b"],
        "type": "single_choice",
        "duration": 60,
    }
}


def test_the_texts_are_the_defaults_until_they_are_replaced(serve: Serve, valkey_url: str) -> None:
    dashboard = serve()
    defaults = json.loads(msgspec.json.encode(dict(DEFAULT_TEMPLATES)))
    assert send(dashboard, "GET", "agent/templates").json() == {
        "templates": defaults,
        "replaced": [],
        "defaults": defaults,
        "placeholders": list(PLACEHOLDERS),
    }
    replaced = send(dashboard, "PUT", "agent/templates", {"templates": {"POLL": POLL}})
    assert replaced.status_code == 200
    assert replaced.json()["templates"] == defaults | {"POLL": POLL}
    assert replaced.json()["replaced"] == ["POLL"]
    assert send(serve(), "GET", "agent/templates").json() == replaced.json()
    assert commands(valkey_url) == [{"command": "templates", "templates": {"POLL": POLL}}]
    assert send(dashboard, "PUT", "agent/templates", {"templates": {}}).status_code == 200
    assert send(dashboard, "GET", "agent/templates").json()["replaced"] == []


def test_each_tenant_has_texts_of_its_own(serve: Serve, valkey_url: str) -> None:
    dashboard = serve()
    path = "agent/templates?tenant=acme"
    assert send(dashboard, "PUT", path, {"templates": {"POLL": POLL}}).status_code == 200
    assert send(dashboard, "GET", path).json()["replaced"] == ["POLL"]
    assert send(dashboard, "GET", "agent/templates").json()["replaced"] == []
    assert len(commands(valkey_url, f"acme:{COMMANDS}")) == 1


@pytest.mark.parametrize(
    ("templates", "code"),
    [
        ({"HOLD": {}}, "invalid_type"),
        ({"poll": POLL}, "invalid_type"),
        ({"POLL": {}}, "invalid_content"),
        ({"POLL": "text"}, "invalid_body"),
        ({"BROADCAST": {"message": "{0}{nobody}"}}, "invalid_content"),
        ([], "invalid_body"),
        (None, "invalid_body"),
    ],
)
def test_texts_that_can_not_be_sent_are_refused(
    serve: Serve, valkey_url: str, templates: Any, code: str
) -> None:
    dashboard = serve()
    refused = send(dashboard, "PUT", "agent/templates", {"templates": templates})
    assert error(refused) == (400, code)
    for body in (b"", {}, {"templates": {}, "more": 1}):
        assert error(send(dashboard, "PUT", "agent/templates", body)) == (400, "invalid_body")
    assert commands(valkey_url) == []


def test_texts_of_any_language_may_be_as_long_as_allowed(serve: Serve) -> None:
    long = "長" * 500
    options = [f"{number}{'長' * 99}" for number in range(6)]
    game = {"name": long, "description": long, "rewards": options}
    templates = {
        "POLL": {"poll": {"question": long, "options": options}},
        "BROADCAST": {"message": long},
        "NOTIFICATION": {"content": long},
        "GAMIFICATION": {"content": game},
    }
    stored = send(serve(), "PUT", "agent/templates", {"templates": templates})
    assert stored.status_code == 200
    assert stored.json()["templates"]["BROADCAST"] == {"message": long}


@pytest.mark.parametrize("stored", [b"{", b"[]", b'{"POLL": 1, "OTHER": {}}'])
def test_texts_that_another_program_stored_wrongly_are_the_defaults(
    serve: Serve, valkey_url: str, stored: bytes
) -> None:
    with closing(open_client(valkey_url)) as client:
        client.set("conductor:templates", stored)
    assert send(serve(), "GET", "agent/templates").json()["replaced"] == []
