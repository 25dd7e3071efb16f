"""A break that is arranged over HTTP: from the request to the updates, through a kill."""

import time
from contextlib import closing
from itertools import chain
from typing import Any, Final

import httpx
import psycopg
import redis

from conductor_actors.adapters.recordings.stream_range import StreamRange
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.instants import to_iso
from conductor_actors.wire.updates import Update, decode_update, encode_update, update_of
from tests.domain.test_quiet_sessions import BREAK_MS, END_MS, RESUMED_MS, START_MS, lecture, quiet
from tests.e2e.deployment import Deployment, terminate
from tests.support.event_samples import CHAT_SWITCH, COMMANDS
from tests.support.programs import Program, run_to_end
from tests.support.waiting import wait_until

TAKEOVER_WITHIN_S: Final = 15.0
USUAL: Final = {
    "CONDUCTOR_TICK_S": "5",
    "CONDUCTOR_WINDOW_S": "60",
    "CONDUCTOR_SESSION_TIMEOUT_S": "1800",
    "CONDUCTOR_PRESENCE_TIMEOUT_S": "21600",
    "CONDUCTOR_TENANTS": "acme",
}
RULES: Final = Rules(
    IntakeRules(tick_s=1, timeout_s=60, window_s=10), SessionRules(10, 60, 60), Scoring()
)


def test_a_break_holds_through_a_kill_and_is_the_same_in_a_replay(deployment: Deployment) -> None:
    until = to_iso(int(time.time() * 1000) + 3_600_000, "milliseconds")
    with deployment.pubsub() as pubsub:
        pubsub.subscribe("engagement:update")
        with deployment.running() as program:
            room = Room(program)
            assert room.arrange(until) == 202  # of a session that is not there: ignored
            deployment.add_reaction()
            wait_until(lambda: room.update().keys() >= {"score"})
            assert "quietUntil" not in room.update()
            assert room.arrange(until) == 202
            wait_until(lambda: room.update().get("quietUntil") == until)
            program.kill()
        deployment.client.xadd(CHAT_SWITCH, {"data": b'{"sessionId":"room","chatOpen":false}'})
        with deployment.running() as program:
            room = Room(program)
            program.wait_for("checkpoint_loaded", TAKEOVER_WITHIN_S)
            wait_until(lambda: room.update().get("chatOpen") is False)
            assert room.update()["quietUntil"] == until
            assert room.arrange(None) == 202
            wait_until(lambda: "quietUntil" not in room.update())
            terminate(program)
        published = [
            decode_update("default", message["data"])
            for message in iter(lambda: pubsub.get_message(timeout=0.1), None)
            if message["type"] == "message"
        ]
    deployment.assert_rows_are_those_of_a_replay()
    replayed = updates_of_a_replay(deployment)
    last = max(replayed)
    compared = [update for update in published if update and update.timestamp <= last]
    assert len(compared) > 3
    for update in compared:
        assert encode_update(update) == encode_update(replayed[update.timestamp])
    assert deployment.client.xlen(COMMANDS) == 3


class Room:
    """The session `room` as its dashboard shows it."""

    def __init__(self, program: Program) -> None:
        self._address = program.wait_for("dashboard_started")["address"]

    def arrange(self, until: str | None) -> int:
        """Return the status of a request to make the session quiet."""
        path = f"{self._address}api/v1/sessions/room/quiet"
        return httpx.post(path, json={"until": until}).status_code

    def update(self) -> dict[str, Any]:
        """Return the session's newest update, or an empty one."""
        sessions = httpx.get(f"{self._address}api/v1/sessions").json()["sessions"]
        return dict(sessions[0]) if sessions else {}


def updates_of_a_replay(deployment: Deployment) -> dict[str, Update]:
    """Score the streams again; return the updates by their timestamps."""
    rows: list[ScoreRow] = []
    with closing(StreamRange(deployment.settings["REDIS_URL"], (), "-", "+")) as stream_range:
        Replayer(RULES, rows.extend).run(chain.from_iterable(stream_range.chunks()))
    return {update.timestamp: update for update in map(update_of, rows)}


def test_of_two_equal_breaks_only_the_one_that_was_not_arranged_is_an_anomaly(
    deployment: Deployment,
) -> None:
    settings = deployment.settings | USUAL
    deployment = deployment._replace(settings=settings)
    add_two_lectures(deployment.client)
    with deployment.running() as program:
        program.wait_for("checkpoint_committed")
        program.kill()
    with deployment.running() as program:
        program.wait_for("checkpoint_loaded", TAKEOVER_WITHIN_S)
        wait_until(lambda: stored_anomalies(settings) != [])
        terminate(program)
    replayed = "--to", to_iso(now_ms(deployment.client) - 60_000)
    ended = run_to_end(
        "replay", settings["REDIS_URL"], "--against", "database", *replayed,
        cwd=deployment.cwd, **settings,
    )  # fmt: skip
    assert ended.exit_code == 0, ended
    assert stored_anomalies(settings) == [("acme", "SUDDEN_DROP")]


def add_two_lectures(client: redis.Redis) -> None:
    """Add the same lecture for two tenants, with a break that one of them has arranged.

    Its end is arranged for both.
    """
    begin_ms = now_ms(client) - END_MS - 60_000
    later_ms = begin_ms - START_MS
    arranged_end = quiet(END_MS - 1000, END_MS + 3_600_000 + later_ms)
    arranged_break = quiet(BREAK_MS - 20_000, RESUMED_MS + later_ms)
    with client.pipeline(transaction=False) as pipeline:
        for tenant in ("", "acme:"):
            entries = [*lecture(has_break=True), arranged_end]
            entries += [] if tenant else [arranged_break]
            for number, (ms, _, name, body) in enumerate(sorted(entries)):
                entry_id = f"{ms - START_MS + begin_ms}-{number}"
                pipeline.xadd(tenant + name, {"data": body}, id=entry_id)
        pipeline.execute()


def now_ms(client: redis.Redis) -> int:
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000


def stored_anomalies(settings: dict[str, str]) -> list[Any]:
    with psycopg.connect(settings["DATABASE_URL"]) as connection:
        return connection.execute("SELECT tenant_id, anomaly_type FROM anomalies").fetchall()
