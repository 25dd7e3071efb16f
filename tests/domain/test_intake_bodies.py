"""An intake does with a body what `decode` says, although it calls that for few bodies only."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.domain.events import DECODERS, Event, decode
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.errors import InvalidEvent
from tests.support.event_samples import (
    EVENT_NAMES,
    INVALID_EVENTS,
    MAX_BYTES,
    SHAPES,
    UNUSABLE_OPTIONAL_KEYS,
)
from tests.support.ticking import TickingIntake
from tests.support.unusual_events import UNUSUAL_EVENTS

AT_MS = 1_767_528_000_003
BODIES = [
    *((name, body) for _, name, body, _ in INVALID_EVENTS),
    *((name, body) for _, name, body in UNUSUAL_EVENTS),
    *((name, body) for _, name, body, _ in UNUSABLE_OPTIONAL_KEYS),
]
VALID = [(shape.name, json.dumps(shape.body).encode()) for shape in SHAPES]

Outcome = tuple[dict[tuple[str, str], list[Event]], int, list[str], Counter[str]]


def outcome_of_intake(name: str, body: bytes, max_bytes: int) -> Outcome:
    """Return the events, how many were skipped, the reasons of rejections, the ignored keys."""
    intake = TickingIntake(IntakeRules(max_event_bytes=max_bytes))
    list(intake.take_ticking([(AT_MS, 0, name, body)]))
    events = dict(intake.flush())
    assert intake.accepted == len(events)
    reasons = [rejected.reason for rejected in intake.rejected]
    return events, intake.skipped, reasons, intake.ignored_keys


def outcome_of_decode(name: str, body: bytes, max_bytes: int) -> Outcome:
    ignored: Counter[str] = Counter()
    try:
        decoded = decode(DECODERS[name], body, AT_MS, max_bytes, ignored)
    except InvalidEvent as invalid:
        return {}, 0, [invalid.reason], ignored
    if decoded is None:
        return {}, 1, [], ignored
    session_id, event = decoded
    return {("default", session_id): [event]}, 0, [], ignored


@pytest.mark.parametrize("max_bytes", [64, MAX_BYTES])
def test_valid_unusual_and_invalid_bodies_are_treated_as_decode_says(max_bytes: int) -> None:
    for name, body in (*VALID, *BODIES):
        expected = outcome_of_decode(name, body, max_bytes)
        assert outcome_of_intake(name, body, max_bytes) == expected, (name, body)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(VALID), st.data())
def test_damaged_bodies_are_treated_as_decode_says(
    valid: tuple[str, bytes], data: st.DataObject
) -> None:
    name, body = valid
    begin = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(begin, len(body)))
    inserted = data.draw(st.binary(max_size=4) | st.sampled_from([rb"\u0000", b'"', b"null", b"5"]))
    damaged = body[:begin] + inserted + body[end:]
    assert outcome_of_intake(name, damaged, MAX_BYTES) == outcome_of_decode(
        name, damaged, MAX_BYTES
    )


@given(st.sampled_from(EVENT_NAMES), st.binary())
def test_random_bytes_are_treated_as_decode_says(name: str, body: bytes) -> None:
    assert outcome_of_intake(name, body, MAX_BYTES) == outcome_of_decode(name, body, MAX_BYTES)
