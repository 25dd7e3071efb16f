"""Limits of tenants and sessions, applied by entry ids alone."""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.domain.checkpoints.encoding import Header, encode_header, recover
from conductor_actors.domain.draft import apply_events
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.events import UserJoined, UserLeft
from conductor_actors.domain.intake import EventsBySession
from conductor_actors.domain.intake_state import IntakeRules, IntakeState
from conductor_actors.domain.quotas import (
    SESSION_EVENTS,
    TENANT_EVENTS,
    TENANT_SESSIONS,
    Limits,
    QuotasState,
)
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState
from conductor_actors.domain.ticks import TickDue
from tests.support.event_samples import REACTION
from tests.support.ticking import TickingIntake

START_MS = 1_767_528_000_000
TICK_MS = 5000
TIMEOUT_MS = 20_000
RULES = IntakeRules(timeout_s=20)

Result = tuple[list[tuple[int, tuple[str, str]]], Counter[tuple[str, str]]]


def rules(**limits: float) -> IntakeRules:
    return msgspec.structs.replace(RULES, limits=msgspec.convert(limits, Limits, strict=False))


def entry(at_ms: int, session: str = "s", tenant: str = "acme", number: int = 0) -> Entry:
    body = b'{"sessionId": "%s", "userId": "u"}' % session.encode()
    return START_MS + at_ms, number, f"{tenant}:{REACTION}", body


def garbage(at_ms: int) -> Entry:
    return START_MS + at_ms, 0, f"acme:{REACTION}", b"{"


def events_of(steps: Iterable[EventsBySession | TickDue]) -> list[tuple[int, tuple[str, str]]]:
    return [
        (event.at_ms - START_MS, key)
        for step in steps
        if not isinstance(step, TickDue)
        for key, events in step.items()
        for event in events
    ]


def processed(intake: TickingIntake, entries: Sequence[Entry]) -> Result:
    """Return the admitted events, in order, and the counts of the refused ones."""
    found = events_of([*intake.take_ticking(entries), intake.flush()])
    return sorted(found), intake.quotas.pop_refused()


def test_a_large_event_counts_as_one_more_per_kilobyte() -> None:
    intake = TickingIntake(rules(tenant_events_per_s=10, tenant_burst_s=2))
    flood = [entry(0, number=number) for number in range(100)]
    large = [(ms, number, name, body + b" " * 4000) for ms, number, name, body in flood]
    at_once, refused = processed(intake, large)
    assert (len(at_once), refused) == (5, {("acme", TENANT_EVENTS): 95})
    assert len(processed(intake, [entry(400)])[0]) == 1


def test_an_event_larger_than_the_burst_is_admitted_by_an_unused_bucket() -> None:
    intake = TickingIntake(rules(tenant_events_per_s=1, tenant_burst_s=1))
    ms, number, name, body = entry(0)
    assert len(processed(intake, [(ms, number, name, body + b" " * 9000)])[0]) == 1
    assert processed(intake, [entry(7_999)])[0] == []
    assert len(processed(intake, [entry(9_000)])[0]) == 1


def test_a_tenant_may_send_its_burst_at_once_and_then_its_rate() -> None:
    intake = TickingIntake(rules(tenant_events_per_s=10, tenant_burst_s=2))
    flood = [entry(0, number=number) for number in range(100)]
    later = [entry(at_ms) for at_ms in range(1, 1001)]
    at_once, refused = processed(intake, flood)
    assert (len(at_once), refused) == (20, {("acme", TENANT_EVENTS): 80})
    in_a_second, refused = processed(intake, later)
    assert (len(in_a_second), refused) == (10, {("acme", TENANT_EVENTS): 990})


def test_a_tenant_that_keeps_to_its_rate_is_never_refused() -> None:
    intake = TickingIntake(rules(tenant_events_per_s=10, tenant_burst_s=1))
    found, refused = processed(intake, [entry(100 * number) for number in range(1000)])
    assert (len(found), refused) == (1000, {})


def test_the_flood_of_one_tenant_costs_the_others_nothing() -> None:
    intake = TickingIntake(rules(tenant_events_per_s=10, tenant_burst_s=1))
    flood = [entry(at_ms, number=number) for at_ms in range(1000) for number in range(5)]
    other = [entry(100 * number, tenant="globex") for number in range(10)]
    found, refused = processed(intake, sorted(flood + other))
    assert Counter(key[0] for _, key in found) == {"acme": 19, "globex": 10}
    assert refused == {("acme", TENANT_EVENTS): 5000 - 19}


def test_an_event_over_the_rate_is_not_decoded() -> None:
    intake = TickingIntake(rules(tenant_events_per_s=1, tenant_burst_s=1))
    for _ in range(2):
        processed(intake, [garbage(0)])
    assert len(intake.rejected) == 1


def test_every_entry_is_counted_exactly_once() -> None:
    limits = {"tenant_events_per_s": 20, "tenant_sessions": 2, "session_events_per_s": 3}
    intake = TickingIntake(rules(**limits))
    entries = [entry(10 * number, f"s{number % 4}") for number in range(1000)]
    found, refused = processed(intake, sorted([*entries, *map(garbage, range(0, 9000, 100))]))
    assert len(refused) == 3
    assert intake.accepted == len(found)
    assert len(found) + refused.total() + len(intake.rejected) == 1090


def test_a_session_over_the_limit_is_refused_until_another_is_over() -> None:
    intake = TickingIntake(rules(tenant_sessions=2))
    found, refused = processed(intake, [entry(0, "a"), entry(1, "b"), entry(2, "c"), entry(3, "a")])
    assert [key[1] for _, key in found] == ["a", "b", "a"]
    assert refused == {("acme", TENANT_SESSIONS): 1}
    kept_alive = [entry(at_ms, "a") for at_ms in range(5000, 30_000, 5000)]
    _, refused = processed(intake, [*kept_alive, entry(25_001, "c")])
    assert refused == {("acme", TENANT_SESSIONS): 1}
    found, refused = processed(intake, [entry(30_001, "a"), entry(30_002, "c"), entry(30_003, "b")])
    assert [key[1] for _, key in found] == ["a", "c"]
    assert refused == {("acme", TENANT_SESSIONS): 1}


def test_the_limit_of_sessions_is_per_tenant() -> None:
    intake = TickingIntake(rules(tenant_sessions=1))
    _, refused = processed(
        intake, [entry(0, "a"), entry(1, "b", "globex"), entry(2, "a", "globex")]
    )
    assert refused == {("globex", TENANT_SESSIONS): 1}


def test_a_session_has_a_limited_number_of_events_between_two_ticks() -> None:
    intake = TickingIntake(rules(session_events_per_s=2))
    found, refused = processed(intake, [entry(100 * number) for number in range(100)])
    assert Counter(at_ms // TICK_MS for at_ms, _ in found) == {0: 10, 1: 10}
    assert refused == {("acme", SESSION_EVENTS): 80}


def test_a_flush_before_the_tick_does_not_raise_the_limit_of_a_session() -> None:
    intake = TickingIntake(rules(session_events_per_s=2))
    for number in range(50):
        processed(intake, [entry(number)])
    assert intake.accepted == 10


def test_a_checkpoint_between_two_ticks_does_not_raise_the_limit_of_a_session() -> None:
    state = IntakeState()
    accepted = 0
    for number in range(50):
        intake = TickingIntake(rules(session_events_per_s=2), state)
        processed(intake, [entry(number)])
        state, accepted = intake.state(), accepted + intake.accepted
    assert accepted == 10


def test_the_limit_of_a_session_holds_per_interval_before_the_first_tick_too() -> None:
    """A service starts its ticks one window after the first entry, a replay at once."""
    entries = [entry(100 * number) for number in range(250)]
    service, replay = (TickingIntake(rules(session_events_per_s=2)) for _ in range(2))
    service.start_ticks_at(START_MS + 4 * TICK_MS)
    assert processed(service, entries) == processed(replay, entries)


def test_without_limits_nothing_is_refused_or_stored() -> None:
    intake = TickingIntake(RULES)
    found, refused = processed(intake, [entry(0, f"s{number}") for number in range(1000)])
    assert (len(found), refused, intake.state().quotas) == (1000, {}, None)


logs = st.lists(
    st.tuples(st.integers(0, 2000), st.sampled_from("abcd"), st.sampled_from(("acme", "globex"))),
    max_size=120,
)
limits = st.fixed_dictionaries(
    {
        "tenant_events_per_s": st.sampled_from((0, 0.5, 3)),
        "tenant_burst_s": st.sampled_from((1, 5)),
        "tenant_sessions": st.sampled_from((0, 1, 2)),
        "session_events_per_s": st.sampled_from((0, 0.2, 1)),
    }
)


@settings(max_examples=150, deadline=None)
@given(logs, limits, st.lists(st.integers(0, 120), max_size=4))
def test_an_intake_that_resumes_from_a_checkpoint_refuses_the_same_events(
    log: list[tuple[int, str, str]], limits: dict[str, float], cuts: list[int]
) -> None:
    at_ms, entries = 0, list[Entry]()
    for step_ms, session, tenant in log:
        at_ms += step_ms
        entries.append(entry(at_ms, session, tenant))
    whole = processed(TickingIntake(rules(**limits)), entries)
    found, refused, state = list[tuple[int, tuple[str, str]]](), Counter[tuple[str, str]](), None
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(log)], strict=True):
        intake = TickingIntake(rules(**limits), state)
        some, over = processed(intake, entries[begin:end])
        found += some
        refused += over
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(intake.state()), type=IntakeState)
    assert (sorted(found), refused) == whole


def test_a_checkpoint_names_each_session_once() -> None:
    intake = TickingIntake(rules(tenant_sessions=9, session_events_per_s=100))
    processed(
        intake, [*(entry(number, f"old-{number}") for number in range(4)), entry(TICK_MS, "new")]
    )
    text = msgspec.msgpack.encode(intake.state())
    assert text.count(b"old-") == 4
    assert text.count(b"new") == 1
    assert len(text) < 150


def test_a_checkpoint_without_quotas_can_be_resumed_from() -> None:
    class Before(msgspec.Struct, array_like=True):
        number: int
        window_s: int
        position: bytes
        intake: tuple[int, int, int, list[str]]

    packed = msgspec.msgpack.encode(
        Before(3, 60, b"", (START_MS + TICK_MS, START_MS, START_MS, []))
    )
    header = msgspec.msgpack.encode((1, packed))
    assert recover(header, {}, SessionRules()).header.intake.quotas is None


def test_a_version_without_quotas_can_read_the_checkpoint() -> None:
    class Before(msgspec.Struct, array_like=True):
        number: int

    state = IntakeState(quotas=QuotasState({"acme": 1}, {}))
    _, packed = msgspec.msgpack.decode(encode_header(Header(3, 60, b"", state)))
    assert msgspec.msgpack.decode(packed, type=Before).number == 3


def test_sessions_older_than_the_limit_are_admitted() -> None:
    intake = TickingIntake(rules(tenant_sessions=1))
    intake.quotas.restore_sessions([(("acme", "old"), START_MS)])
    found, refused = processed(intake, [entry(1, "new"), entry(2, "old")])
    assert [key[1] for _, key in found] == ["old"]
    assert refused == {("acme", TENANT_SESSIONS): 1}


@pytest.mark.parametrize("is_back", [False, True])
def test_a_user_over_the_limit_is_active_and_not_connected(*, is_back: bool) -> None:
    state = SessionState("s", SessionRules(max_users=2))
    joins = [UserJoined(START_MS, None, user) for user in ("ada", "bob", "eve", "ada")]
    state = apply_events(state, joins)
    assert ([*state.connections], state.devices) == (["ada", "bob"], {"ada": 2})
    assert state.refused_users == 1
    signals = state.signals(START_MS + TICK_MS)
    assert (signals.active_users, signals.total_users) == (3, 3)
    leaver = "bob" if is_back else "eve"  # who leaves without having been let in
    state = apply_events(
        state, [UserLeft(START_MS, None, leaver), UserJoined(START_MS, None, "eve")]
    )
    assert ("eve" in state.connections) == is_back
