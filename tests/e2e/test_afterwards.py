"""What people do with a session after its end, with the running service and its commands."""

import json
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from tests.e2e.deployment import Deployment, terminate
from tests.support.event_samples import CHAT, SESSION_INFO
from tests.support.programs import run_to_end, select_rows
from tests.support.waiting import wait_until
from tests.support.webhook_deployment import SHORT_SESSIONS, START_WITHIN_S
from tests.support.webhook_receiver import Receiver

KEY: Final = "a key of more than thirty-two bytes"
TITLE: Final = "Keynote: 50 % / #1?"
SESSIONS: Final = ("keynote / #1", "workshop")
WITHIN_S: Final = 30.0


def begin_sessions(deployment: Deployment) -> None:
    """Begin two sessions of an event, which end after seconds."""
    for number, session_id in enumerate(SESSIONS):
        about = {"sessionId": session_id, "eventId": "summit"}
        title = about | {"title": TITLE if number == 0 else "Workshop", "eventTitle": "The Summit"}
        deployment.client.xadd(SESSION_INFO, {"data": json.dumps(title)})
        for message in range(5):
            said = {"id": f"{number}-{message}", "text": "hello", "authorId": f"user {message}"}
            deployment.client.xadd(CHAT, {"data": json.dumps(about | {"message": said})})


def shared_by(deployment: Deployment, *options: str) -> dict[str, str]:
    """Return the header with the token of the link that the `token` command prints."""
    variables = {"CONDUCTOR_JWT_SECRET": KEY, "CONDUCTOR_PUBLIC_URL": "https://scores.example/"}
    ended = run_to_end("token", *options, cwd=deployment.cwd, **variables)
    assert ended.exit_code == 0, ended.stderr
    assert ended.stdout.startswith("https://scores.example/#")
    [token] = parse_qs(urlsplit(ended.stdout.strip()).fragment)["token"]
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.timeout(180)
def test_a_session_that_ended_is_listed_reported_delivered_exported_and_shared(
    deployment: Deployment,
) -> None:
    with Receiver() as receiver:
        settings = SHORT_SESSIONS | {
            "CONDUCTOR_JWT_SECRET": KEY,
            "CONDUCTOR_WEBHOOK_URL": receiver.url,
        }
        with deployment.running(**settings) as program:
            address = program.wait_for("dashboard_started", START_WITHIN_S)["address"]
            program.wait_for("service_started", START_WITHIN_S)
            begin_sessions(deployment)
            everything = shared_by(deployment)
            with httpx.Client(base_url=f"{address}api/v1/", headers=everything) as api:
                _follow(api, receiver)
                _share(deployment, api)
                _export(deployment, api)
            terminate(program)


def _follow(api: httpx.Client, receiver: Receiver) -> None:
    def listed() -> list[dict[str, Any]]:
        body = api.get("sessions", params={"state": "ended", "search": "the summit"}).json()
        return [each for each in body["sessions"] if each["meanScore"] is not None]

    wait_until(lambda: len(listed()) == len(SESSIONS), WITHIN_S)
    [keynote] = [each for each in listed() if each["sessionId"] == SESSIONS[0]]
    assert (keynote["title"], keynote["eventTitle"]) == (TITLE, "The Summit")

    report = api.get(f"sessions/{quote(SESSIONS[0], safe='')}/report").json()
    assert report["session"] == keynote
    assert report["messages"] == 5
    assert report["contributions"]["chat"]["others"] is not None

    wait_until(lambda: len(receiver.received) == len(SESSIONS), WITHIN_S)
    [delivered] = [each for each in receiver.received if each.session == SESSIONS[0]]
    assert delivered.event["data"] | {"session": None} == report | {"session": None}


def _share(deployment: Deployment, api: httpx.Client) -> None:
    one = shared_by(deployment, "--session", SESSIONS[0])
    event = shared_by(deployment, "--event", "summit")
    ids = [
        {each["sessionId"] for each in found.json()["sessions"]}
        for found in (
            api.get("sessions", params={"state": "all"}, headers=headers)
            for headers in (one, event)
        )
    ]
    assert ids == [{SESSIONS[0]}, set(SESSIONS)]
    refused = api.get("sessions/workshop/timeline", headers=one)
    assert refused.status_code == 403


def _export(deployment: Deployment, api: httpx.Client) -> None:
    file = deployment.cwd / "rows.jsonl"
    session = {"session": SESSIONS[0]}
    ended = run_to_end(
        *("export", str(file), "--session", SESSIONS[0]),
        cwd=deployment.cwd,
        **deployment.settings,
    )
    assert ended.exit_code == 0, ended.stderr
    rows = [row for row in select_rows(deployment.settings["DATABASE_URL"]) if SESSIONS[0] in row]
    assert len(file.read_text().splitlines()) == len(rows)
    assert api.get("export", params=session | {"format": "jsonl"}).text == file.read_text()
