"""Breaks that are arranged: the same silence is an anomaly only without the command."""

import json
from collections.abc import Sequence
from random import Random
from typing import Final

import msgspec
import pytest

from conductor_actors.domain.anomalies.changes import AnomalyBegan
from conductor_actors.domain.commands import encode_quiet
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.instants import to_iso
from tests.support.event_samples import CHAT, CHAT_SWITCH, COMMANDS, REACTION, SYNC

START_MS: Final = 1_767_528_000_000
MINUTE_MS: Final = 60_000
BREAK_MS: Final = 12 * MINUTE_MS
RESUMED_MS: Final = 15 * MINUTE_MS
END_MS: Final = 20 * MINUTE_MS
PEOPLE: Final = 40


def entry(at_ms: int, name: str, **body: object) -> Entry:
    return START_MS + at_ms, 0, name, json.dumps({"sessionId": "s", **body}).encode()


def lecture(
    *, has_break: bool, chat_stops: bool = True, reactions_stop: bool = True
) -> list[Entry]:
    """Return 150 messages and 40 reactions a minute of forty people, with a break or without."""
    random, entries = Random(5), list[Entry]()
    for number in range(PEOPLE):
        entries.append(entry(number, SYNC, type="user_join", userId=f"user-{number}"))
    for at_ms in range(1000, END_MS, 100):
        is_break = has_break and BREAK_MS <= at_ms < RESUMED_MS
        user = f"user-{random.randrange(PEOPLE)}"
        if random.random() < 150 / 600 and not (is_break and chat_stops):
            message = {"id": str(at_ms), "authorId": user}
            entries.append(entry(at_ms, CHAT, message=message))
        if random.random() < 40 / 600 and not (is_break and reactions_stop):
            entries.append(entry(at_ms, REACTION, userId=user))
    return entries


def quiet(at_ms: int, until_ms: int | None) -> Entry:
    until = None if until_ms is None else to_iso(START_MS + until_ms)
    return START_MS + at_ms, 0, COMMANDS, encode_quiet("s", until)


def rows_of(*entries: Sequence[Entry]) -> list[ScoreRow]:
    rows: list[ScoreRow] = []
    rules = Rules(IntakeRules(), SessionRules(), Scoring())
    Replayer(rules, rows.extend).run(sorted(entry for some in entries for entry in some))
    return rows


def begun(rows: Sequence[ScoreRow]) -> list[tuple[str, int]]:
    """Return the type of each anomaly, and how many seconds after the break's begin it came."""
    return [
        (change.type, (row.at_ms - START_MS - BREAK_MS) // 1000)
        for row in rows
        for change in row.anomalies
        if isinstance(change, AnomalyBegan)
    ]


def test_an_arranged_break_is_no_anomaly() -> None:
    lively = lecture(has_break=True)
    [(kind, after_s)] = begun(rows_of(lively))
    assert kind == "SUDDEN_DROP"
    assert 0 < after_s <= 15
    assert begun(rows_of(lively, [quiet(BREAK_MS - 20_000, RESUMED_MS)])) == []


def test_the_end_of_a_break_is_no_anomaly_however_it_ends() -> None:
    lively = lecture(has_break=True)
    early = [quiet(BREAK_MS, END_MS), quiet(RESUMED_MS, None)]
    assert begun(rows_of(lively, early)) == []


def test_a_break_that_is_arranged_when_the_banner_is_there_ends_it() -> None:
    arranged = quiet(BREAK_MS + 29_999, RESUMED_MS)
    rows = rows_of(lecture(has_break=True), [arranged])
    changes = [change for row in rows for change in row.anomalies]
    assert [type(change).__name__ for change in changes] == ["AnomalyBegan", "AnomalyEnded"]
    ended_ms = next(row.at_ms for row in rows if row.anomalies[-1:] == (changes[1],))
    assert ended_ms == START_MS + BREAK_MS + 30_000


def test_a_break_that_goes_on_after_its_time_is_an_anomaly() -> None:
    short = quiet(BREAK_MS, BREAK_MS + 20_000)
    [(kind, after_s)] = begun(rows_of(lecture(has_break=True), [short]))
    assert kind == "SUDDEN_DROP"
    assert after_s > 20


def test_a_break_teaches_nothing() -> None:
    calm = rows_of(lecture(has_break=True), [quiet(BREAK_MS, RESUMED_MS)])
    by_tick = {row.at_ms - START_MS: row.expected for row in calm}
    assert by_tick[BREAK_MS + 5000] == by_tick[RESUMED_MS] is not None


def test_a_closed_chat_is_no_drop_of_chat() -> None:
    lively = lecture(has_break=True, reactions_stop=False)
    closed = [
        entry(BREAK_MS - 1, CHAT_SWITCH, chatOpen=False),
        entry(RESUMED_MS, CHAT_SWITCH, chatOpen=True),
    ]
    assert begun(rows_of(lively, closed)) == []
    assert [kind for kind, _ in begun(rows_of(lively))] == ["SUDDEN_DROP"]


@pytest.mark.parametrize("until_ms", [0, BREAK_MS, END_MS])
def test_quiet_changes_no_score(until_ms: int) -> None:
    lively = lecture(has_break=False)
    plain = rows_of(lively)
    arranged = rows_of(lively, [quiet(5 * MINUTE_MS, until_ms)])
    nothing = {"quiet_until_ms": 0, "expected": None, "anomalies": ()}
    assert [msgspec.structs.replace(row, **nothing) for row in arranged] == [
        msgspec.structs.replace(row, **nothing) for row in plain
    ]
    assert begun(plain) == begun(arranged) == []
