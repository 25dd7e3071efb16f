"""A break that is arranged over HTTP: from the request to the updates, through a kill."""

import time
from contextlib import closing
from itertools import chain
from typing import Any, Final

import httpx

from conductor_actors.adapters.recordings.stream_range import StreamRange
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.instants import to_iso
from conductor_actors.updates import Update, decode_update, encode_update, update_of
from tests.e2e.deployment import Deployment, terminate
from tests.support.event_samples import CHAT_SWITCH, COMMANDS
from tests.support.programs import Program
from tests.support.waiting import wait_until

TAKEOVER_WITHIN_S: Final = 15.0
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
