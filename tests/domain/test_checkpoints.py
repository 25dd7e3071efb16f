"""A state and an intake read back from a checkpoint exactly as they were."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.domain.checkpoints.encoding import (
    Header,
    encode_header,
    encode_state,
    recover,
)
from conductor_actors.domain.draft import apply_events
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.events import (
    Event,
    PollVote,
    Reaction,
    UserJoined,
)
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake import EventsBySession
from conductor_actors.domain.intake_state import IntakeRules, IntakeState
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState, row_at
from conductor_actors.domain.ticks import TickDue
from conductor_actors.domain.windows import CountWindow, PresenceWindow, RepeatWindow
from tests.domain.checkpoint_states import copied, facts, header_of, quiet_session
from tests.domain.session_samples import (
    START_MS,
    TICK_MS,
    after,
    new_state,
    rules_of_all_kinds,
    streams,
    ticks_over,
)
from tests.domain.test_intake import GOOD, end_of, entry, logs
from tests.support.attributes import attributes_of
from tests.support.ticking import TickingIntake

TENANT = "default"


@settings(max_examples=80, deadline=None)
@given(streams, rules_of_all_kinds, st.data())
def test_a_state_reads_back_exactly_and_gives_the_same_later_rows(
    events: list[Event], rules: SessionRules, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(events)))
    state = after(new_state(rules), events[:cut])
    if cut and data.draw(st.booleans()):  # what a tick forgets is forgotten
        state.signals(events[cut - 1].at_ms - events[cut - 1].at_ms % TICK_MS + TICK_MS)
    twin = copied(state)
    assert facts(twin) == facts(state)
    state, twin = after(state, events[cut:]), after(twin, events[cut:])
    assert facts(twin) == facts(state)
    for at_ms in [at_ms for at_ms in ticks_over(events) if at_ms >= events[-1].at_ms][:20]:
        assert row_at(at_ms, TENANT, twin, Scoring()) == row_at(at_ms, TENANT, state, Scoring())


def test_an_arranged_quiet_is_restored_and_copied() -> None:
    state = after(new_state(), [UserJoined(START_MS, None, "ada")])
    state.chat_is_open, state.quiet_until_ms = False, START_MS + 60_000
    assert facts(copied(state)) == facts(state.copy()) == facts(state)


@pytest.mark.parametrize("connected", [1, 3, 9, 12])
def test_few_and_many_connected_users_and_voters_read_back_exactly(connected: int) -> None:
    events: list[Event] = [UserJoined(START_MS, None, f"user-{n}") for n in range(connected)]
    events += [PollVote(START_MS, None, f"user-{n}", "poll") for n in range(connected)]
    later_ms = START_MS + 70_000  # when those users are no longer active
    events += [Reaction(later_ms, None, f"user-{n}") for n in range(2, 12)]
    state = after(new_state(), events)
    state.signals(later_ms + TICK_MS)
    assert facts(copied(state)) == facts(state)


def test_encoding_leaves_the_state_unchanged() -> None:
    state = after(new_state(), [UserJoined(START_MS, None, "ada")])
    before = facts(state)
    encode_state(state)
    assert facts(state) == before


def test_a_decoded_state_is_independent() -> None:
    state = after(new_state(), [UserJoined(START_MS, None, "ada")])
    twin = copied(state)
    assert after(twin, [UserJoined(START_MS, None, "bob")]).connections.keys() == {"ada", "bob"}
    assert state.connections.keys() == twin.connections.keys() == {"ada"}


@pytest.mark.parametrize(("users", "most_bytes"), [(10, 700), (1000, 55_000)])
def test_an_encoded_session_takes_little_more_than_the_ids_of_its_users(
    users: int, most_bytes: int
) -> None:
    assert len(encode_state(quiet_session(users))) < most_bytes


class Engine:
    """Scores entries as the service does: an intake, and states of sessions."""

    def __init__(self, rules: IntakeRules, intake: TickingIntake | None = None) -> None:
        self._rules = SessionRules(rules.window_s, rules.timeout_s)
        self.intake = intake or TickingIntake(rules)
        self.states: dict[SessionKey, SessionState] = {}
        self.rows: list[ScoreRow] = []

    def take(self, entries: Sequence[Entry], watermark_ms: int | None) -> None:
        for step in self.intake.take_ticking(entries, watermark_ms):
            match step:
                case EventsBySession():
                    self._apply(step)
                case TickDue(at_ms, marks):
                    self.rows += [
                        row_at(at_ms, key.tenant_id, self.states[key], Scoring(), marks)
                        for key in sorted(self.states)
                        if self.states[key].has_row_at(at_ms)
                    ]

    def _apply(self, batch: EventsBySession) -> None:
        for (tenant_id, session_id), events in batch.items():
            key = SessionKey(tenant_id, session_id)
            state = self.states.get(key) or SessionState(session_id, self._rules)
            self.states[key] = apply_events(state, events)

    def crashed(self, rules: IntakeRules) -> "Engine":
        """Return another one, restored from a checkpoint of this one."""
        self._apply(self.intake.flush())
        header = Header(1, rules.window_s, b"", self.intake.state())
        states = {key: encode_state(state) for key, state in self.states.items()}
        found = recover(encode_header(header), states, self._rules)
        assert found.header == header
        assert {*found.states, *found.ended} == set(self.states)
        engine = Engine(rules, TickingIntake(rules, found.header.intake))
        engine.states = dict(found.states)
        engine.rows = self.rows
        return engine


gaps = st.lists(
    st.builds(
        lambda tenant, reason, lost, from_ms, length_ms: Gap(
            tenant, reason, lost, START_MS + from_ms, START_MS + from_ms + length_ms
        ),
        st.sampled_from(["default", "acme", "*"]),
        st.sampled_from(["trimmed", "restarted"]),
        st.none() | st.integers(1, 9),
        st.integers(0, 90_000),
        st.integers(0, 20_000),
    ),
    max_size=3,
)


@settings(max_examples=80, deadline=None)
@given(logs(), gaps, st.data())
def test_the_rows_are_the_same_whatever_crashes_in_between(
    log: list[Entry], missed: list[Gap], data: st.DataObject
) -> None:
    rules = IntakeRules(timeout_s=20, window_s=10)
    undisturbed, engine = Engine(rules), Engine(rules)
    for each in (undisturbed, engine):
        for gap in missed:
            each.intake.gaps.add(gap)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(log)), max_size=4)))
    for start, stop in zip([0, *cuts], [*cuts, len(log)], strict=True):
        until_ms = log[stop][0] if stop < len(log) else end_of(log)
        watermark_ms = data.draw(st.integers(log[stop - 1][0] if stop else START_MS, until_ms))
        for each in (undisturbed, engine):
            each.take(log[start:stop], watermark_ms)
        engine = engine.crashed(rules)
    for each in (undisturbed, engine):
        each.take([], end_of(log))
    assert engine.rows == undisturbed.rows


def test_an_entry_that_is_late_after_a_crash_counts_in_the_next_tick_as_before_it() -> None:
    rules = IntakeRules()
    engine = Engine(rules)
    engine.take([entry(1000, GOOD[3])], START_MS + 2 * TICK_MS)
    engine = engine.crashed(rules)
    late = entry(3000, GOOD[3], sequence=1)
    [batch, *_] = engine.intake.take_ticking([late], START_MS + 3 * TICK_MS)
    assert isinstance(batch, EventsBySession)
    assert [event.at_ms for events in batch.values() for event in events] == [
        START_MS + 2 * TICK_MS
    ]


def test_a_session_that_is_over_is_not_restored() -> None:
    rules = SessionRules(timeout_s=1800)
    events: Sequence[Event] = [Reaction(START_MS, None, "ada")]
    sessions = {
        SessionKey(TENANT, "over"): after(SessionState("over", rules), events),
        SessionKey(TENANT, "never begun"): SessionState("never begun", rules),
        SessionKey("acme", "on"): after(
            SessionState("on", rules), [Reaction(START_MS + 1, None, "ada")]
        ),
        SessionKey("acme", "asleep"): after(
            SessionState("asleep", rules), [UserJoined(START_MS, None, "ada")]
        ),
    }
    written = {key: encode_state(state) for key, state in sessions.items()}
    header = encode_header(header_of(rules, passed_ms=START_MS + 1_800_000))
    found = recover(header, written, rules)
    assert set(found.states) == {SessionKey("acme", "on"), SessionKey("acme", "asleep")}
    assert found.ended == {SessionKey(TENANT, "over"), SessionKey(TENANT, "never begun")}


def test_the_timeout_may_change() -> None:
    state = after(new_state(), [Reaction(START_MS, None, "ada")])
    rules = SessionRules(timeout_s=100)
    found = recover(
        encode_header(header_of(rules, passed_ms=START_MS + 100_000)),
        {SessionKey(TENANT, "s"): encode_state(state)},
        rules,
    )
    assert found.ended == {SessionKey(TENANT, "s")}


@pytest.mark.parametrize(("tick_s", "next_s"), [(5, 15), (1, 15), (10, 20), (60, 60)])
def test_ticks_are_on_multiples_of_the_current_interval(tick_s: int, next_s: int) -> None:
    begun_ms = START_MS - START_MS % 60_000
    state = IntakeState(begun_ms + 15_000, begun_ms + 10_000, begun_ms + 12_000)
    told = TickingIntake(IntakeRules(tick_s), state).take_ticking([], begun_ms + 60_000)
    assert next(told) == TickDue(begun_ms + next_s * 1000)


def test_every_field_of_a_state_is_covered_here() -> None:
    """A field that is added and not encoded fails this test."""
    assert attributes_of(SessionState) == {
        *("session_id", "rules", "chats", "reactions", "messages", "active", "leavers"),
        *("connections", "devices", "polls", "has_joins", "real_event_id", "last_event_ms"),
        *("chat_is_open", "quiet_until_ms", "votes", "departures", "returns", "detector"),
        "conduct",
        "refused_users",  # reported at once, so it is not kept
        "guests",  # counted again
        "steady_score",  # found again
    }
    assert attributes_of(CountWindow) == {"counts", "length_s", "newest_s", "total"}
    assert attributes_of(PresenceWindow) == {"length_ms", "times_ms"}
    assert attributes_of(RepeatWindow) <= attributes_of(PresenceWindow)
