"""Webhooks of the running service: what they receive, whatever is killed, and the commands."""

import json
import signal
import threading
from typing import Final

import psycopg
import pytest

from tests.e2e.deployment import Deployment, terminate
from tests.support.programs import Completed, assert_refused, run_to_end
from tests.support.waiting import wait_until
from tests.support.webhook_deployment import (
    SHORT_SESSIONS,
    START_WITHIN_S,
    add_reaction,
    kill_repeatedly,
    take_receiver_away,
)
from tests.support.webhook_receiver import SECRET, Receiver, Reply

KILLS: Final = 3
AWAY_S: Final = 10.0
WITHIN_S: Final = 30.0


def run(deployment: Deployment, *arguments: str, **settings: str) -> Completed:
    variables = deployment.settings | SHORT_SESSIONS | settings
    return run_to_end("webhooks", *arguments, cwd=deployment.cwd, **variables)


@pytest.mark.timeout(400)
def test_no_event_is_lost_and_the_key_finds_each_duplicate_when_it_is_killed_in_mid_delivery(
    deployment: Deployment,
) -> None:
    report = kill_repeatedly(deployment, KILLS)
    assert report.sessions > 50
    assert (report.lost, report.differing, report.misplaced) == (0, 0, 0)
    assert report.duplicates >= KILLS  # it was killed before it could know the answer
    assert report.deliveries - report.duplicates == report.sessions


@pytest.mark.timeout(400)
def test_a_receiver_that_was_away_gets_all_once_when_it_is_back(deployment: Deployment) -> None:
    report = take_receiver_away(deployment, AWAY_S)
    assert report.sessions > 50
    assert report[2:] == (0, 0, 0, 0)


def test_an_ended_session_is_delivered_with_its_report_by_the_running_service(
    deployment: Deployment,
) -> None:
    with Receiver() as receiver:
        settings = SHORT_SESSIONS | {"CONDUCTOR_WEBHOOK_URL": receiver.url}
        with deployment.running(**settings) as program:
            program.wait_for("service_started", START_WITHIN_S)
            add_reaction(deployment, "keynote")
            wait_until(lambda: bool(receiver.received), WITHIN_S)
            delivered = program.wait_for("webhook_delivered")
            terminate(program)
        [received] = receiver.received
        event = received.event
        assert event["type"] == "session.ended"
        assert event["data"]["session"]["sessionId"] == "keynote"
        assert event["data"]["state"] == "ended"
        assert event["data"]["startedAt"] <= event["data"]["endedAt"] < event["timestamp"]
        assert event["data"]["reactions"] == 1
        assert (delivered["id"], delivered["session"]) == (received.id, "keynote")
        lines = "\n".join([*program.output, *program.errors])
        for secret in (SECRET, SECRET.removeprefix("whsec_"), "/hook"):
            assert secret not in lines


def test_without_a_url_nothing_is_enqueued(deployment: Deployment) -> None:
    settings = {name: value for name, value in SHORT_SESSIONS.items() if "WEBHOOK" not in name}
    with deployment.running(**settings) as program:
        program.wait_for("service_started", START_WITHIN_S)
        add_reaction(deployment, "keynote")
        with psycopg.connect(deployment.settings["DATABASE_URL"], autocommit=True) as connection:

            def has_ended() -> bool:
                ended = "SELECT FROM sessions WHERE ended_at IS NOT NULL"
                return bool(connection.execute(ended).rowcount)

            wait_until(has_ended, WITHIN_S)
            assert connection.execute("SELECT FROM webhook_deliveries").rowcount == 0
        terminate(program)


def test_operators_list_what_fails_and_retry_it(deployment: Deployment) -> None:
    with Receiver() as receiver:
        receiver.reply = lambda _: Reply(410)
        settings = SHORT_SESSIONS | {"CONDUCTOR_WEBHOOK_URL": receiver.url}
        with deployment.running(**settings) as program:
            program.wait_for("service_started", START_WITHIN_S)
            add_reaction(deployment, "evil\x1b[2J")
            given_up = program.wait_for("webhook_given_up", WITHIN_S)
            listed = run(deployment, "list", "--json", CONDUCTOR_WEBHOOK_URL=receiver.url)
            [document] = [json.loads(line) for line in listed.stdout.splitlines()]
            assert document["id"] == given_up["id"]
            assert (document["state"], document["attempts"]) == ("dead", 1)
            assert (document["last_status"], document["last_error"]) == (410, "HTTP 410")
            assert document["next_attempt"] is None
            as_text = run(deployment, "list", CONDUCTOR_WEBHOOK_URL=receiver.url)
            assert "\x1b" not in as_text.stdout
            receiver.reply = lambda _: Reply()
            retried = run(deployment, "retry", given_up["id"], CONDUCTOR_WEBHOOK_URL=receiver.url)
            assert (retried.exit_code, retried.stdout) == (0, "1 to be sent\n")
            assert program.wait_for("webhook_delivered", WITHIN_S)["id"] == given_up["id"]
            terminate(program)
        emptied = run(deployment, "list", CONDUCTOR_WEBHOOK_URL=receiver.url)
        assert (emptied.stdout, emptied.stderr) == ("", "no events\n")
        again = run(deployment, "retry", given_up["id"], CONDUCTOR_WEBHOOK_URL=receiver.url)
        assert (again.exit_code, again.stdout) == (1, "0 to be sent\n")
        assert given_up["id"] in again.stderr


def test_a_test_event_shows_what_came_back(deployment: Deployment) -> None:
    with Receiver() as receiver:
        settings = {"CONDUCTOR_WEBHOOK_URL": receiver.url}
        receiver.reply = lambda _: Reply(200, body=b"welcome \x1b[2J")
        well = run(deployment, "test", **settings)
        assert well.exit_code == 0
        assert well.stdout.startswith("HTTP 200 after ")
        assert "welcome \\x1b[2J" in well.stdout
        [received] = receiver.received
        assert received.event["type"] == "webhook.test"
        receiver.reply = lambda _: Reply(307, {"location": "/other"})
        redirected = run(deployment, "test", **settings)
        assert redirected.exit_code == 1
        assert "redirects are not followed" in redirected.stdout
    away = run(deployment, "test", **settings)
    assert (away.exit_code, away.stdout.partition(" after")[0]) == (1, "no response")
    refused = run(deployment, "test", **settings, CONDUCTOR_WEBHOOK_ALLOW_PRIVATE="false")
    assert_refused(refused, "CONDUCTOR_WEBHOOK_URL")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["test", "--tenant", "acme"], "'acme' has no webhook"),
        (["retry"], "name events by ID, or use --all"),
        (["retry", "1", "--all"], "name events by ID, or use --all"),
        (["retry", "--tenant", "acme"], "name events by ID, or use --all"),
        (["retry", "1"], "is not the id of an event"),
    ],
)
def test_a_wrong_use_of_a_command_ends_with_2_and_one_line(
    deployment: Deployment, arguments: list[str], part: str
) -> None:
    own = '{"globex": null}'
    unset = {"CONDUCTOR_WEBHOOK_SECRET": "", "CONDUCTOR_WEBHOOKS": own}
    assert_refused(run(deployment, *arguments, **unset), part)


def test_the_service_stops_in_time_while_a_receiver_does_not_answer(
    deployment: Deployment,
) -> None:
    never = threading.Event()
    with Receiver() as receiver:
        receiver.reply = lambda _: Reply(wait=never)
        settings = SHORT_SESSIONS | {"CONDUCTOR_WEBHOOK_URL": receiver.url}
        with deployment.running(**settings) as program:
            program.wait_for("service_started", START_WITHIN_S)
            add_reaction(deployment, "keynote")
            wait_until(lambda: bool(receiver.received), WITHIN_S)
            program.signal(signal.SIGTERM)
            ended = program.finish(WITHIN_S)
            never.set()
        assert (ended.exit_code, ended.stderr) == (0, "")
        assert program.all("drain_incomplete") == []
        receiver.reply = lambda _: Reply()
        with deployment.running(**settings) as successor:
            wait_until(lambda: len(receiver.received) == 2, WITHIN_S)
            terminate(successor)
    assert len({*receiver.ids()}) == 1
