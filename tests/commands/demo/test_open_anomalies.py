import json
from typing import Any

import pytest

from conductor_actors.commands.demo.board import Scoreboard
from conductor_actors.commands.demo.news_lines import format_news
from conductor_actors.instants import to_iso
from conductor_actors.ports import ANOMALIES, ANOMALIES_ENDED, PublishedMessage
from tests.commands.demo.boards import board_of, draw, line_of, message
from tests.support.score_rows import AT_MS

REASON = "2 messages and reactions in 20 s; 58 were expected."


def begin(session: str = "keynote", **more: Any) -> PublishedMessage:
    body = {
        "id": "1",
        "sessionId": session,
        "eventId": "summit",
        "tenantId": "default",
        "timestamp": _iso(5),
        "type": "SUDDEN_DROP",
        "severity": "CRITICAL",
        "onset": _iso(-5),
        "anomalyScore": 0.9,
        "currentEngagement": 0.2,
        "expectedEngagement": 0.6,
        "deviation": -0.4,
        "signals": {},
        "reason": REASON,
    }
    return PublishedMessage("default", ANOMALIES, json.dumps(body | more).encode())


def end(session: str = "keynote") -> PublishedMessage:
    body = {
        "id": "1",
        "sessionId": session,
        "eventId": "summit",
        "tenantId": "default",
        "timestamp": _iso(135),
        "type": "SUDDEN_DROP",
        "startedAt": _iso(5),
        "durationS": 130,
    }
    return PublishedMessage("default", ANOMALIES_ENDED, json.dumps(body).encode())


def _iso(at_s: float) -> str:
    return to_iso(AT_MS + at_s * 1000, "milliseconds")


def test_the_board_shows_an_open_anomaly_with_its_reason_until_it_ends() -> None:
    board = board_of(message(), begin(), message(at_s=70))
    shown = draw(board)
    assert f"▼ keynote: sudden drop for 1 min 15 s. {REASON}" in shown
    board.add(end())
    assert "▼" not in draw(board)


def test_a_session_with_an_open_anomaly_is_marked_and_comes_first() -> None:
    board = board_of(message("keynote", 0.9), message("talk", 0.1), begin())
    assert board.worst_first[0].newest.session_id == "keynote"
    assert line_of(board, "keynote").startswith("▼ keynote")
    assert line_of(board, "talk").startswith("talk")


def test_at_most_three_open_anomalies_are_described_and_the_terminal_is_not_exceeded() -> None:
    sessions = [f"s{number}" for number in range(9)]
    board = board_of(*map(message, sessions), *(begin(session) for session in sessions))
    lines = draw(board, width=60, height=14).splitlines()
    assert sum(line.startswith("▼ s") and "sudden drop" in line for line in lines) == 3
    assert len(lines) < 14
    assert max(map(len, lines)) <= 60


def test_an_anomaly_without_an_id_is_not_kept_because_its_end_is_not_published() -> None:
    board = Scoreboard()
    board.add(message())
    assert board.add(begin(id=None)) is None
    body = json.loads(begin().body)
    del body["id"]
    assert board.add(PublishedMessage("default", ANOMALIES, json.dumps(body).encode()))
    assert "▼" not in draw(board)


@pytest.mark.parametrize("name", [ANOMALIES, ANOMALIES_ENDED])
def test_an_invalid_anomaly_is_ignored(name: str) -> None:
    assert Scoreboard().add(PublishedMessage("default", name, b"{}")) is None


def test_without_a_terminal_a_begin_and_an_end_are_a_line_each() -> None:
    board = board_of(message())
    news = [board.add(begin()), board.add(end())]
    assert [format_news(one) for one in news if one] == [
        f"2026-01-04T12:00:05Z default keynote CRITICAL sudden drop: {REASON}",
        "2026-01-04T12:02:15Z default keynote sudden drop is over after 2 min 10 s",
    ]
