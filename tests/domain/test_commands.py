"""The commands of people, and the chat that platforms open and close: what each arranges."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final, get_args
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.domain.commands import (
    MAX_QUIET_MS,
    QuietSet,
    encode_approval,
    encode_dismissal,
    encode_event_mode,
    encode_manual,
    encode_quiet,
    encode_session_mode,
    encode_templates,
)
from conductor_actors.domain.conductor.directives import (
    EVERY_SESSION,
    EventModeSet,
    TemplatesSet,
)
from conductor_actors.domain.conductor.interventions import ActionType, Mode
from conductor_actors.domain.conductor.requests import (
    Approved,
    Dismissed,
    ManualRequested,
    ModeSet,
)
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.events import DECODERS, ChatSwitched, Decoded, Event, decode
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.quotas import SESSION_EVENTS, TENANT_EVENTS, Limits
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.errors import InvalidEvent
from conductor_actors.instants import to_iso, to_ms
from tests.domain.session_samples import (
    MINUTE_MS,
    SESSION,
    START_MS,
    TICK_MS,
    after,
    chat,
    joined,
    left,
    reaction,
    row_of,
    state_after,
)
from tests.support.event_samples import CHAT_SWITCH, COMMANDS, MAX_BYTES, REACTION
from tests.support.ticking import TickingIntake

HOUR_MS: Final = 60 * MINUTE_MS
SLEEP_MS: Final = 30 * MINUTE_MS
ID = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=255)
instants = st.datetimes(timezones=st.just(UTC)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)


def read(body: object, name: str = COMMANDS) -> Decoded:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode(DECODERS[name], raw, START_MS, MAX_BYTES, Counter())


def manual_body(**changes: object) -> dict[str, object]:
    body = {"command": "manual", "sessionId": "s", "interventionId": str(UUID(int=1))}
    return body | {"interventionType": "BROADCAST", **changes}


def quiet(at_ms: int, until_ms: int) -> QuietSet:
    return QuietSet(START_MS + at_ms, START_MS + until_ms)


def switched(at_ms: int, event_id: str | None = None, *, is_open: bool = False) -> ChatSwitched:
    return ChatSwitched(START_MS + at_ms, event_id, is_open)


@given(ID, ID, st.uuids(), st.sampled_from([None, {"message": "Hello"}]))
def test_requests_are_read_as_they_were_written(
    session_id: str, decision_id: str, new_id: UUID, content: dict[str, Any] | None
) -> None:
    assert read(encode_approval(session_id, decision_id, content)) == (
        session_id,
        Approved(START_MS, decision_id, content),
    )
    assert read(encode_dismissal(session_id, decision_id, "no")) == (
        session_id,
        Dismissed(START_MS, decision_id, "no"),
    )
    assert read(encode_manual(session_id, str(new_id), "BROADCAST", "why", content)) == (
        session_id,
        ManualRequested(START_MS, str(new_id), "BROADCAST", "why", content),
    )
    for mode in (None, *get_args(Mode)):
        assert read(encode_session_mode(session_id, mode)) == (session_id, ModeSet(START_MS, mode))
        assert read(encode_event_mode(decision_id, mode)) == (
            EVERY_SESSION,
            EventModeSet(START_MS, decision_id, mode),
        )


def test_templates_are_read_as_they_were_written() -> None:
    templates: dict[ActionType, dict[str, Any]] = {"BROADCAST": {"message": "Hello"}}
    read_templates = TemplatesSet(START_MS, templates)
    assert read(encode_templates(templates)) == (EVERY_SESSION, read_templates)


@given(ID, instants)
def test_quiet_lasts_until_its_instant_and_at_most_a_day(session_id: str, until: datetime) -> None:
    text = until.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    expected_ms = min(max(0, to_ms(until)), START_MS + MAX_QUIET_MS)
    assert read(encode_quiet(session_id, text)) == (session_id, QuietSet(START_MS, expected_ms))


@pytest.mark.parametrize(
    ("until", "ms"),
    [
        ("2026-01-04T12:00:01Z", 1000),
        ("2026-01-04T12:00:01.2Z", 1200),
        ("2026-01-04T12:00:01.234999999Z", 1234),
        ("2026-01-04T11:59:59Z", -1000),
        ("2026-02-28T00:00:00Z", MAX_QUIET_MS),
    ],
)
def test_an_instant_is_read_to_the_millisecond(until: str, ms: int) -> None:
    assert read(encode_quiet("s", until)) == ("s", quiet(0, ms))


def test_quiet_until_null_ends_it() -> None:
    assert read(encode_quiet("s", None)) == ("s", QuietSet(START_MS, 0))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "missing_id"),
        ({"command": "quiet", "until": None}, "missing_id"),
        ({"sessionId": "s", "until": None}, "missing_id"),
        ({"command": "quiet", "sessionId": "s"}, "missing_id"),
        ({"command": "approve", "sessionId": "s"}, "missing_id"),
        ({"command": "dismiss", "sessionId": "s", "decisionId": ""}, "wrong_shape"),
        ({"command": "dismiss", "sessionId": "s", "decisionId": "d\0"}, "nul_in_id"),
        ({"command": "mode", "mode": "OFF"}, "missing_id"),
        ({"command": "mode", "sessionId": "s", "mode": "FAST"}, "wrong_shape"),
        ({"command": "manual", "sessionId": "s"}, "missing_id"),
        (manual_body(interventionId="no uuid"), "wrong_shape"),
        (manual_body(interventionId=str(UUID(int=1)).upper() + "\n"), "wrong_shape"),
        (manual_body(interventionType="HOLD"), "wrong_shape"),
        (manual_body(content={"text": 1}), "wrong_shape"),
        (manual_body(reason="x" * 501), "wrong_shape"),
        ({"command": "templates", "templates": {"POLL": {}}}, "wrong_shape"),
        ({"command": "templates", "templates": {"HOLD": {}}}, "wrong_shape"),
        ({"command": "", "sessionId": "s"}, "unknown_type"),
        ({"command": "QUIET", "sessionId": "s", "until": None}, "unknown_type"),
        ({"command": 1, "sessionId": "s", "until": None}, "wrong_shape"),
        ({"command": "quiet", "sessionId": "", "until": None}, "wrong_shape"),
        ({"command": "quiet", "sessionId": 7, "until": None}, "wrong_shape"),
        ({"command": "quiet", "sessionId": "a\0", "until": None}, "nul_in_id"),
        *(
            ({"command": "quiet", "sessionId": "s", "until": until}, "wrong_shape")
            for until in (
                *("", "now", "2026-01-04", "2026-01-04T12:00:00", "12:00:00Z"),
                *("2026-02-29T12:00:00Z", "2026-13-01T12:00:00Z", "2026-00-01T12:00:00Z"),
                *("2026-01-00T12:00:00Z", "2026-01-04T24:00:00Z", "2026-01-04T12:60:00Z"),
                *("2026-01-04T12:00:60Z", "0000-01-01T00:00:00Z", "2026-01-04T12:00:00.Z"),
                *("2026-01-04T12:00:00+01:00", "2026-01-04T12:00:00Z\n", " 2026-01-04T12:00:00Z"),
                *("٢٠٢٦-01-04T12:00:00Z", "2026-01-04T12:00:00.1234567890Z"),
            )
        ),
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"[]", "wrong_shape"),
        (b"\xff", "not_utf8"),
        (b'{"command":"quiet","sessionId":"s","until":' + b"[" * 30_000, "too_deep"),
        (b" " * (MAX_BYTES + 1), "too_large"),
        ({"command": "quiet", "sessionId": "s", "until": 1767528000000}, "wrong_shape"),
        ({"command": "quiet", "sessionId": "s", "until": [None]}, "wrong_shape"),
    ],
)
def test_an_invalid_command_is_refused_with_its_reason(body: object, reason: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        read(body)
    assert refused.value.reason == reason


@given(st.binary())
def test_random_bytes_are_no_command(body: bytes) -> None:
    with pytest.raises(InvalidEvent):
        read(body)


@pytest.mark.parametrize("is_open", [True, False])
def test_a_chat_is_opened_and_closed(*, is_open: bool) -> None:
    body = {"sessionId": "s", "eventId": "e", "chatOpen": is_open, "qaOpen": True}
    assert read(body, CHAT_SWITCH) == ("s", ChatSwitched(START_MS, "e", is_open))


def test_a_row_says_until_when_it_is_quiet_and_whether_chat_is_closed() -> None:
    state = state_after(chat(0), quiet(1, 10_000), switched(2))
    rows = [row_of(START_MS + at_ms, state) for at_ms in (5000, 10_000, 15_000)]
    until_ms = START_MS + 10_000
    assert [row.quiet_until_ms for row in rows] == [until_ms, until_ms, 0]
    assert not any(row.is_chat_open for row in rows)
    opened = after(state, [switched(15_001, is_open=True), quiet(15_001, 15_000)])
    row = row_of(START_MS + 20_000, opened)
    assert (row.quiet_until_ms, row.is_chat_open) == (0, True)


def test_a_later_command_replaces_an_earlier_one() -> None:
    state = state_after(chat(0), quiet(1, HOUR_MS), quiet(2, 20_000))
    assert row_of(START_MS + 5000, state).quiet_until_ms == START_MS + 20_000
    assert row_of(START_MS + 5000, after(state, [quiet(3, 0)])).quiet_until_ms == 0


@pytest.mark.parametrize("arranged", [quiet(0, HOUR_MS), switched(0, "event-1")])
def test_no_session_begins_with_an_arrangement(arranged: Event) -> None:
    state = state_after(arranged)
    assert state.is_forgotten_at(START_MS)
    begun = after(state, [chat(1)])
    assert (begun.quiet_until_ms, begun.chat_is_open, begun.event_id) == (0, True, SESSION)


@pytest.mark.parametrize("arrange", [lambda at_ms: quiet(at_ms, 9 * HOUR_MS), switched])
def test_an_arrangement_neither_keeps_a_session_alive_nor_wakes_it(arrange: Any) -> None:
    arranged = [arrange(at_ms) for at_ms in range(0, SLEEP_MS, MINUTE_MS)]
    awake = state_after(joined(0), *arranged)
    assert awake.last_event_ms == START_MS
    assert not awake.has_row_at(START_MS + SLEEP_MS)
    asleep = after(awake, [arrange(SLEEP_MS)])
    assert not asleep.has_row_at(START_MS + SLEEP_MS + TICK_MS)
    assert after(asleep, [left(SLEEP_MS + 1)]).is_forgotten_at(START_MS + SLEEP_MS + 1)


def test_a_session_that_sleeps_wakes_with_what_was_arranged() -> None:
    awake = state_after(joined(0), quiet(SLEEP_MS, HOUR_MS), switched(SLEEP_MS), chat(SLEEP_MS + 1))
    row = row_of(START_MS + SLEEP_MS + TICK_MS, awake)
    assert (row.quiet_until_ms, row.is_chat_open) == (START_MS + HOUR_MS, False)


def test_a_session_that_begins_anew_has_nothing_arranged() -> None:
    over = state_after(chat(0), quiet(1, 9 * HOUR_MS), switched(2), quiet(SLEEP_MS, 9 * HOUR_MS))
    anew = after(over, [chat(SLEEP_MS + 1)])
    assert (anew.quiet_until_ms, anew.chat_is_open) == (0, True)


def test_a_closed_chat_names_the_event_of_its_session() -> None:
    assert state_after(reaction(0), switched(1, "event-1")).event_id == "event-1"


def test_a_flood_keeps_no_command_out() -> None:
    limits = Limits(tenant_events_per_s=1, tenant_burst_s=1, session_events_per_s=1)
    for limit, reason in (
        (Limits(tenant_events_per_s=1, tenant_burst_s=1), TENANT_EVENTS),
        (Limits(session_events_per_s=1), SESSION_EVENTS),
        (limits, TENANT_EVENTS),
    ):
        for is_flushed in (False, True):
            intake = TickingIntake(IntakeRules(limits=limit))
            flood: list[Entry] = [
                (START_MS, number, REACTION, b'{"sessionId":"s"}') for number in range(50)
            ]
            list(intake.take_ticking(flood))
            events = intake.flush() if is_flushed else {}
            list(intake.take_ticking([(START_MS, 50, COMMANDS, encode_quiet("s", None))]))
            admitted = [*events.get(("default", "s"), ()), *intake.flush()["default", "s"]]
            assert admitted[-1] == QuietSet(START_MS, 0)
            assert intake.quotas.pop_refused()["default", reason] >= 45


def replayed(entries: list[Entry]) -> list[ScoreRow]:
    rows: list[ScoreRow] = []
    Replayer(Rules(IntakeRules(), SessionRules(), Scoring()), rows.extend).run(entries)
    return rows


def test_a_replay_applies_commands_at_their_ids_and_changes_nothing_else() -> None:
    def until(at_ms: int) -> bytes:
        return encode_quiet("s", to_iso(START_MS + at_ms))

    events: list[Entry] = [
        (START_MS + 700 * number, 0, prefix + REACTION, b'{"sessionId":"s"}')
        for number in range(60)
        for prefix in ("", "acme:")
    ]
    commands: list[Entry] = [
        (START_MS + 7_000, 0, COMMANDS, until(22_000)),
        (START_MS + 8_000, 0, f"acme:{COMMANDS}", until(HOUR_MS)),
        (START_MS + 21_000, 0, COMMANDS, b'{"command":"dismiss","sessionId":"s"}'),
        (START_MS + 26_000, 0, f"acme:{COMMANDS}", encode_quiet("s", None)),
        (START_MS + 30_000, 0, COMMANDS, encode_quiet("nobody", None)),
    ]
    without, rows = replayed(sorted(events)), replayed(sorted(events + commands))
    plain = [msgspec.structs.replace(row, quiet_until_ms=0) for row in rows]
    assert plain == without
    quiet_ticks = [
        (row.tenant_id, (row.at_ms - START_MS) // 1000) for row in rows if row.quiet_until_ms
    ]
    assert sorted(quiet_ticks) == [
        *(("acme", second) for second in (10, 15, 20, 25)),
        *(("default", second) for second in (10, 15, 20)),
    ]
