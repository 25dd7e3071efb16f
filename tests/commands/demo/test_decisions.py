"""What the demo shows of the conductor: what it suggests, what was sent, and what came of it."""

import json
from typing import Any

import pytest

from conductor_actors.commands.demo.board import Scoreboard
from conductor_actors.commands.demo.news_lines import format_news
from conductor_actors.instants import to_iso
from conductor_actors.ports import PublishedMessage
from tests.commands.demo.boards import board_of, draw, line_of, message
from tests.support.score_rows import AT_MS


def iso(at_s: float) -> str:
    return to_iso(AT_MS + at_s * 1000, "milliseconds")


def outcome(at_s: float = 120, **more: Any) -> dict[str, Any]:
    measured = {
        "success": True,
        "reward": 0.21,
        "engagement_before": 0.64,
        "engagement_after": 0.61,
        "engagement_delta": -0.03,
        "pre_engagement": 0.64,
        "post_engagement": 0.61,
        "measured_at": iso(at_s),
    }
    return measured | more


def decision(
    status: str, at_s: float = 0, *, steps: tuple[str, ...] = ("SUGGESTED",), **more: Any
) -> PublishedMessage:
    """Return the message that a decision has a status. `more` are keys of it."""
    metadata = {
        "event_id": "summit",
        "origin": "suggest",
        "engagement_before": 0.64,
        "estimated_impact": 0.0,
        "steps": dict.fromkeys((*steps, status), iso(0)),
    }
    data: dict[str, Any] = {
        "id": "i-1",
        "session_id": "keynote",
        "event_id": "summit",
        "timestamp": iso(0),
        "type": "POLL",
        "status": status,
        "confidence": 0.5,
        "reasoning": "r",
        "outcome": None,
        "metadata": metadata | {"note": more.pop("note", None)},
    }
    if data["metadata"]["note"] is None:
        del data["metadata"]["note"]
    data |= more
    session_id = data["session_id"]
    event = {
        "type": "agent.decision",
        "session_id": session_id,
        "timestamp": iso(at_s),
        "data": data,
    }
    return PublishedMessage("default", f"session:{session_id}:events", json.dumps(event).encode())


def text_of(*messages: PublishedMessage) -> str:
    """Return the line of the last message."""
    board = Scoreboard()
    news = [board.add(one) for one in messages][-1]
    assert news is not None
    return format_news(news)


@pytest.mark.parametrize(
    ("published", "text"),
    [
        (
            decision("SUGGESTED"),
            "suggests a poll, 50% sure that it helps: approve it on the page",
        ),
        (
            decision("HELD", type="HOLD", steps=()),
            "does nothing for 2 minutes, to learn what happens without an action",
        ),
        (
            decision("SUGGESTED", type="GAMIFICATION", confidence=None),
            "suggests a game: approve it on the page",
        ),
        (decision("APPROVED", type="NOTIFICATION"), "notification of the host approved"),
        (decision("APPROVED", type="BROADCAST"), "message to everybody approved"),
        (
            decision("APPROVED", steps=(), confidence=0.8),
            "sends a poll by itself, 80% sure that it helps",
        ),
        (decision("SENT"), "poll sent"),
        (decision("EXECUTED"), "poll sent, and carried out by the platform"),
        (decision("FAILED", note="no such session"), "poll failed: no such session"),
        (decision("DISMISSED"), "poll dismissed"),
        (decision("EXPIRED", note="not sent in time"), "poll expired: not sent in time"),
        (
            decision("COMPLETED", 120, steps=("SENT",), outcome=outcome()),
            "outcome of poll: 64% before, 61% after, +21 points against what is expected without",
        ),
        (
            decision("COMPLETED", 120, type="HOLD", outcome=outcome(reward=None)),
            "outcome of doing nothing: 64% before, 61% after",
        ),
        (
            decision(
                "SUGGESTED",
                120,
                outcome=outcome(engagement_after=None, reward=None, censored="gap"),
            ),
            "outcome of a poll that was not sent: not measured, events were missed",
        ),
    ],
)
def test_a_decision_and_what_came_of_it_is_a_line(published: PublishedMessage, text: str) -> None:
    at = "12:02:00" if "outcome of" in text else "12:00:00"
    assert text_of(published) == f"2026-01-04T{at}Z default keynote conductor: {text}"


def test_only_changes_are_news() -> None:
    board = Scoreboard()
    sequence = [
        (decision("SUGGESTED"), True),
        (decision("SUGGESTED"), False),
        (decision("APPROVED", 10), True),
        (decision("EXECUTED", 15), True),
        (decision("EXECUTED", 120, outcome=outcome()), True),
        (decision("COMPLETED", 125, steps=("EXECUTED",), outcome=outcome()), False),
        (decision("SUGGESTED", 130, id="i-2"), True),
        (decision("COMPLETED", 135, steps=("EXECUTED",), outcome=outcome()), False),
    ]
    assert [board.add(one) is not None for one, _ in sequence] == [
        is_news for _, is_news in sequence
    ]


def test_what_happens_to_a_suggestion_after_its_outcome_is_not_its_outcome_again() -> None:
    open_one = decision("SUGGESTED", 120, outcome=outcome())
    line = text_of(open_one, decision("APPROVED", 130, outcome=outcome()))
    assert line.endswith("conductor: poll approved")


def test_what_is_carried_out_after_its_outcome_is_shown() -> None:
    open_one = decision("SUGGESTED", 120, outcome=outcome())
    steps = ("SUGGESTED", "APPROVED", "SENT", "EXECUTED")
    line = text_of(open_one, decision("COMPLETED", 130, steps=steps, outcome=outcome()))
    assert line.endswith("conductor: poll sent, and carried out by the platform")


def test_the_board_shows_the_newest_three_below_the_sessions() -> None:
    board = board_of(message(), *(decision("SUGGESTED", id=f"i-{n}") for n in range(4)))
    lines = [line for line in draw(board).splitlines() if line.startswith("●")]
    assert (
        lines
        == ["● 12:00:00 keynote: suggests a poll, 50% sure that it helps: approve it on the page"]
        * 3
    )


def test_with_decisions_the_terminal_is_not_exceeded() -> None:
    sessions = [f"s{number}" for number in range(9)]
    board = board_of(
        *map(message, sessions), *(decision("SUGGESTED", session_id=s, id=s) for s in sessions)
    )
    lines = draw(board, width=60, height=12).splitlines()
    assert len(lines) < 12
    assert max(map(len, lines)) <= 60
    assert line_of(board, "s0")


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        decision("SUGGESTED").body.replace(b"agent.decision", b"agent.status"),
        decision("SUGGESTED", session_id="other").body,
        decision("SUGGESTED").body.replace(iso(0).encode(), b"noon"),
    ],
)
def test_what_is_no_decision_of_the_session_is_ignored(body: bytes) -> None:
    channel = decision("SUGGESTED").name
    assert Scoreboard().add(PublishedMessage("default", channel, body)) is None
