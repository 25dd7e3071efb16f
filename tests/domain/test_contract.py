"""The contract's sample: recorded events, and the rows that must come of them."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from conductor_actors.domain.draft import apply_events
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.events import Event
from conductor_actors.domain.intake import EventsBySession
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.rows import SIGNAL_COLUMNS
from conductor_actors.domain.scoring import Scoring, category, clamped
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState
from conductor_actors.domain.ticks import TickDue
from conductor_actors.instants import to_iso
from tests.support.reference import row_at
from tests.support.ticking import TickingIntake

SAMPLE = Path(__file__).parent.parent / "support" / "contract"
MEASURES = ("engagement_score", *SIGNAL_COLUMNS)


class SampleRow(NamedTuple):
    identity: tuple[str, str, str, str]  # time, tenant, session, event
    category: str
    measures: tuple[float, ...]


def recorded() -> list[Entry]:
    lines = (SAMPLE / "events.jsonl").read_text().splitlines()
    return sorted(entry_of(json.loads(line)) for line in lines)


def entry_of(record: dict[str, str]) -> Entry:
    at_ms, sequence = record["id"].split("-")
    return int(at_ms), int(sequence), record["name"], json.dumps(record["data"]).encode()


def expected() -> list[SampleRow]:
    with (SAMPLE / "expected.csv").open(newline="") as file:
        return [
            SampleRow(
                (line["time"], line["tenant_id"], line["session_id"], line["event_id"]),
                line["category"],
                tuple(float(line[name]) for name in MEASURES),
            )
            for line in csv.DictReader(file)
        ]


def taken(entries: Sequence[Entry]) -> Iterator[tuple[int | None, EventsBySession]]:
    """Return batches, and ticks as their time without events."""
    intake = TickingIntake(IntakeRules())
    for due in (*intake.take_ticking(entries), *intake.take_ticking((), intake.next_tick_ms)):
        if isinstance(due, TickDue):
            yield due.at_ms, EventsBySession()
        else:
            yield None, due


def rows_of_the_package(entries: Sequence[Entry]) -> Iterator[SampleRow]:
    states: dict[tuple[str, str], SessionState] = {}
    for tick_ms, batch in taken(entries):
        for key, events in batch.items():
            state = states.get(key) or SessionState(key[1], SessionRules())
            states[key] = apply_events(state, events)
        if tick_ms is not None:
            for key in sorted(states):
                if states[key].has_row_at(tick_ms):
                    yield row_of_the_package(tick_ms, key, states[key])


def row_of_the_package(tick_ms: int, key: tuple[str, str], state: SessionState) -> SampleRow:
    signals = state.signals(tick_ms)
    score = clamped(Scoring().contributions(signals).total())
    return SampleRow(
        (iso(tick_ms), *key, state.event_id),
        category(score),
        (score, *(getattr(signals, name) for name in MEASURES[1:])),
    )


def rows_of_the_reference(entries: Sequence[Entry]) -> Iterator[SampleRow]:
    heard: dict[tuple[str, str], list[Event]] = {}
    for tick_ms, batch in taken(entries):
        for key, events in batch.items():
            heard.setdefault(key, []).extend(events)
        if tick_ms is not None:
            for key in sorted(heard):
                row = row_at(tick_ms, key[1], heard[key])
                if row:
                    measures = (row.score, *(row.signals[name] for name in MEASURES[1:]))
                    yield SampleRow((iso(tick_ms), *key, row.event_id), row.category, measures)


def iso(at_ms: int) -> str:
    return to_iso(at_ms, utc="+00:00")


def assert_same(actual: Sequence[SampleRow], wanted: Sequence[SampleRow]) -> None:
    assert [row[:2] for row in actual] == [row[:2] for row in wanted]
    for ours, theirs in zip(actual, wanted, strict=True):
        assert ours.measures == pytest.approx(theirs.measures, rel=0, abs=1e-12)


def test_the_package_makes_the_samples_rows() -> None:
    assert_same(list(rows_of_the_package(recorded())), expected())


def test_the_reference_makes_the_samples_rows() -> None:
    assert_same(list(rows_of_the_reference(recorded())), expected())
