"""A replay alone: its order, its end, and what an event that raises costs."""

from collections.abc import Sequence
from typing import Any

import pytest

from conductor_actors.actors import session
from conductor_actors.domain import replayer
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.events import DECODERS, Decoded
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.replayer import Replayer, Rules, Summary
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState, row_at
from tests.actors.session_events import poison
from tests.support.event_samples import REACTION, VOTE
from tests.support.score_rows import AT_MS

TICK_MS = 5000
RULES = Rules(IntakeRules(), SessionRules(), Scoring())


def reaction(after_ms: int, session_id: str, prefix: str = "") -> Entry:
    body = b'{"sessionId":"%b"}' % session_id.encode()
    return AT_MS + after_ms, 0, prefix + REACTION, body


def replayed(entries: Sequence[Entry]) -> tuple[list[list[ScoreRow]], Summary]:
    """Return the rows of each tick."""
    ticks: list[list[ScoreRow]] = []
    summary = Replayer(RULES, lambda rows: ticks.append(list(rows))).run(entries)
    return ticks, summary


def test_rows_are_ordered_by_tick_tenant_and_session() -> None:
    entries = [
        reaction(0, "b"),
        reaction(1, "a"),
        reaction(2, "a", "acme:"),
        reaction(5001, "aa"),
        reaction(10_001, "0"),
    ]
    ticks, _ = replayed(entries)
    keys = [[(row.tenant_id, row.session_id) for row in rows] for rows in ticks]
    first = [("acme", "a"), ("default", "a"), ("default", "b")]
    second = [("acme", "a"), ("default", "a"), ("default", "aa"), ("default", "b")]
    assert keys == [first, second, [second[0], ("default", "0"), *second[1:]]]


def test_a_replay_ends_with_the_first_tick_after_the_last_entry() -> None:
    _, summary = replayed([reaction(0, "a"), reaction(7000, "a")])
    assert (summary.rows, summary.last_tick_ms) == (2, AT_MS + 2 * TICK_MS)
    assert replayed([])[1].last_tick_ms is None


@pytest.mark.parametrize("at_once", [1, 2, 7])
def test_the_rows_do_not_depend_on_how_many_entries_are_processed_at_once(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [reaction(700 * number, "abc"[number % 3]) for number in range(40)]
    whole = replayed(entries)
    monkeypatch.setattr(replayer, "MAX_ENTRIES_AT_ONCE", at_once)
    assert replayed(entries) == whole


def decode_poison(body: bytes, at_ms: int) -> Decoded:
    return body.decode(), poison(at_ms)


def test_an_event_that_a_handler_raises_on_is_left_out_and_changes_no_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(DECODERS, "poison", decode_poison)
    good = [reaction(1000 * number, "ab"[number % 2]) for number in range(20)]
    bad: list[Entry] = [(AT_MS + at_ms, 9, "poison", b"a") for at_ms in (0, 9999, 19_999)]
    ticks, summary = replayed(sorted([*good, *bad]))
    assert ticks == replayed(good)[0]
    assert summary.failed == 3


def test_a_row_that_raises_is_left_out_at_that_tick_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cursed_ms = AT_MS + 2 * TICK_MS
    curse(monkeypatch, cursed_ms)
    vote: Entry = (AT_MS, 1, VOTE, b'{"sessionId":"b","pollId":"p","userId":"u"}')
    ticks, summary = replayed([reaction(0, "a"), vote, reaction(1, "c"), reaction(14_000, "a")])
    assert ["".join(row.session_id for row in rows) for rows in ticks] == ["abc", "ac", "abc"]
    assert summary.failed == 1


def test_a_detector_that_raises_costs_its_verdict_and_not_the_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = [reaction(0, "a")] * 3
    expected, _ = replayed(entries)

    def fail(*_: object) -> ScoreRow:
        raise ZeroDivisionError

    monkeypatch.setattr(replayer, "with_anomalies", fail)
    ticks, summary = replayed(entries)
    assert (ticks, summary.failed) == (expected, 1)


def curse(monkeypatch: pytest.MonkeyPatch, *ticks_ms: int) -> None:
    """Make sessions with a poll raise at these ticks."""

    def fail(at_ms: int, tenant_id: str, state: SessionState, *rest: Any) -> ScoreRow:
        if state.polls and at_ms in ticks_ms:
            raise ZeroDivisionError
        return row_at(at_ms, tenant_id, state, *rest)

    for module in (replayer, session):
        monkeypatch.setattr(module, "row_at", fail)
