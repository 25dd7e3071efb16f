from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conductor_actors.domain.entries import Entry, RestampedEntry, id_of
from conductor_actors.domain.events import Event
from conductor_actors.domain.intake import MAX_BATCH_EVENTS, MIN_BATCH_EVENTS
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.ticks import TickDue
from tests.support.reference import Timeouts, row_at
from tests.support.ticking import TickingIntake

CHAT = "platform.events.chat.message.v1"
VOTE = "platform.events.poll.vote.v1"
CLOSED = "platform.events.poll.closed.v1"
REACTION = "platform.events.live.reaction.v1"
SYNC = "sync-events"

START_MS = 1_767_528_000_000
TICK_MS = 5000
TIMEOUT_MS = 20_000
RULES = IntakeRules(timeout_s=20)

GOOD = (
    (CHAT, b'{"sessionId": "s1", "message": {"id": "m1", "authorId": "ada"}}'),
    (VOTE, b'{"sessionId": "s1", "pollId": "lunch", "userId": "ada"}'),
    (CLOSED, b'{"sessionId": "s2", "pollId": "lunch"}'),
    (REACTION, b'{"sessionId": "s2", "userId": "bob"}'),
    (f"acme:{REACTION}", b'{"sessionId": "s2", "userId": "bob"}'),
    (SYNC, b'{"type": "user_leave", "sessionId": "s2", "userId": "bob"}'),
)
NOT_OURS = ((SYNC, b'{"resource": "POLL", "action": "created", "payload": {}}'),)
WRONG = {
    ("elsewhere", b"{}"): "unknown_name",
    (SYNC, b"{"): "not_json",
    (VOTE, b'{"sessionId": "s1"}'): "missing_id",
    (REACTION, b'{"sessionId": 7}'): "wrong_shape",
    (CHAT, b" " * 70_000): "too_large",
}

Batch: TypeAlias = dict[tuple[str, str], list[Event]]
Segments: TypeAlias = list[tuple[int | None, Batch]]  # ticks, and what came before each
Reads: TypeAlias = Iterable[tuple[Sequence[Entry], int | None]]

gaps_ms = st.one_of(
    st.just(0),
    st.integers(0, 3000),
    st.integers(0, 4).map(TICK_MS.__mul__),
    st.integers(0, 100_000),
)
bodies = st.sampled_from((*GOOD, *GOOD, *NOT_OURS, *WRONG))


def entry(at_ms: int, source: tuple[str, bytes], sequence: int = 0) -> Entry:
    return START_MS + at_ms, sequence, *source


@st.composite
def logs(draw: st.DrawFn) -> list[Entry]:
    size = draw(st.integers(0, 30))
    steps = draw(st.lists(st.tuples(gaps_ms, bodies), min_size=size, max_size=size))
    times_ms = accumulate(gap_ms for gap_ms, _ in steps)
    return [
        entry(at_ms, source, sequence)
        for sequence, (at_ms, (_, source)) in enumerate(zip(times_ms, steps, strict=True))
    ]


@st.composite
def logs_cut_into_reads(draw: st.DrawFn) -> tuple[list[Entry], Reads]:
    """Draw a log and its reads, each with a watermark up to where the next one begins."""
    log = draw(logs())
    cuts = sorted(draw(st.lists(st.integers(0, len(log)), max_size=8)))
    reads: list[tuple[list[Entry], int | None]] = []
    for start, stop in zip([0, *cuts], [*cuts, len(log)], strict=True):
        until_ms = log[stop][0] if stop < len(log) else end_of(log)
        watermarks_ms = st.integers(log[stop - 1][0] if stop else START_MS, until_ms)
        reads.append((log[start:stop], draw(st.none() | watermarks_ms | st.just(until_ms))))
    return log, [*reads, ([], end_of(log))]


def end_of(log: Sequence[Entry]) -> int:
    return (log[-1][0] if log else START_MS) + 2 * TIMEOUT_MS


def segments(intake: TickingIntake, reads: Reads) -> Segments:
    """Return the ticks, and between two of them the events of each session."""
    result: Segments = []
    batch: Batch = {}
    for entries, watermark_ms in reads:
        for due in intake.take_ticking(entries, watermark_ms):
            if isinstance(due, TickDue):
                result.append((due.at_ms, batch))
                batch = {}
            else:
                add(batch, due)
    add(batch, intake.flush())
    return [*result, (None, batch)]


def add(batch: Batch, more: Batch) -> None:
    for key, events in more.items():
        batch.setdefault(key, []).extend(events)


def whole(log: Sequence[Entry]) -> Reads:
    return [(log, end_of(log))]


def ticks(result: Segments) -> list[int]:
    return [tick_ms for tick_ms, _ in result if tick_ms is not None]


def events_in(batch: Iterable[Batch]) -> Iterator[Event]:
    return (event for sessions in batch for events in sessions.values() for event in events)


def multiples(log: Sequence[Entry]) -> range:
    return range(START_MS, end_of(log) + 1, TICK_MS)


def good(log: Iterable[Entry]) -> list[Entry]:
    return [some for some in log if some[2:] in GOOD]


@settings(max_examples=60, deadline=None)
@given(logs_cut_into_reads())
def test_the_same_entries_give_the_same_batches_and_ticks_however_they_are_read(
    cut: tuple[list[Entry], Reads],
) -> None:
    log, reads = cut
    assert segments(TickingIntake(RULES), reads) == segments(TickingIntake(RULES), whole(log))


@settings(max_examples=60, deadline=None)
@given(logs_cut_into_reads())
def test_a_tick_comes_after_every_earlier_event_and_before_every_later_one(
    cut: tuple[list[Entry], Reads],
) -> None:
    log, reads = cut
    begin_ms, seen = 0, 0
    for tick_ms, batch in segments(TickingIntake(RULES), reads):
        end_ms = tick_ms or end_of(log)
        assert end_ms % TICK_MS == 0 or tick_ms is None
        for event in events_in([batch]):
            assert begin_ms <= event.at_ms < end_ms
            seen += 1
        begin_ms = end_ms
    assert seen == len(good(log))


@settings(max_examples=60, deadline=None)
@given(logs())
def test_there_is_a_tick_whenever_a_session_can_have_a_row_and_only_then(
    log: list[Entry],
) -> None:
    alive = [
        tick_ms
        for tick_ms in multiples(log)
        if any(0 < tick_ms - some[0] < TIMEOUT_MS for some in good(log))
    ]
    assert ticks(segments(TickingIntake(RULES), whole(log))) == alive


@settings(max_examples=40, deadline=None)
@given(logs_cut_into_reads())
def test_events_come_in_one_batch_right_before_their_tick(
    cut: tuple[list[Entry], Reads],
) -> None:
    intake, steps = TickingIntake(RULES), list[object]()
    for entries, watermark_ms in cut[1]:
        steps += intake.take_ticking(entries, watermark_ms)
    for step, following in pairwise(steps):
        assert isinstance(step, TickDue) or isinstance(following, TickDue)


def test_a_full_batch_does_not_wait_for_its_tick() -> None:
    intake = TickingIntake(RULES)
    flood = [entry(0, GOOD[0], number) for number in range(3 * MIN_BATCH_EVENTS)]
    steps = list(intake.take_ticking(flood))
    assert [len(list(events_in([step]))) for step in steps if isinstance(step, dict)] == (
        [MIN_BATCH_EVENTS] * 3
    )
    assert intake.flush() == {}


def test_a_batch_has_many_events_per_session_up_to_a_total() -> None:
    intake, sessions = TickingIntake(RULES), 20_000
    body = b'{"sessionId": "%d", "userId": "ada"}'
    log = [
        entry(0, (REACTION, body % (number % sessions)), number)
        for number in range(MAX_BATCH_EVENTS)
    ]
    assert list(intake.take_ticking(log[:-1])) == []
    [step] = intake.take_ticking(log[-1:])
    assert isinstance(step, dict)
    assert {len(events) for events in step.values()} == {MAX_BATCH_EVENTS // sessions}


@settings(max_examples=40, deadline=None)
@given(logs())
def test_no_tick_is_skipped_at_which_a_session_has_a_row(log: list[Entry]) -> None:
    result = segments(TickingIntake(RULES), whole(log))
    for key in {key for _, batch in result for key in batch}:
        events = [event for _, batch in result for event in batch.get(key, ())]
        for tick_ms in set(multiples(log)) - set(ticks(result)):
            assert row_at(tick_ms, key[1], events, timeouts=Timeouts(TIMEOUT_MS)) is None


@settings(max_examples=40, deadline=None)
@given(logs())
def test_a_sessions_events_stay_in_the_order_of_their_ids(log: list[Entry]) -> None:
    result = segments(TickingIntake(RULES), whole(log))
    seen = [event for _, batch in result for event in batch.get(("default", "s1"), ())]
    wanted = [some[0] for some in good(log) if b'"s1"' in some[3]]
    assert [event.at_ms for event in seen] == wanted


@settings(max_examples=60, deadline=None)
@given(logs(), st.integers(-TICK_MS, 100_000))
def test_no_tick_comes_before_the_start(log: list[Entry], from_ms: int) -> None:
    intake = TickingIntake(RULES)
    intake.start_ticks_at(START_MS + from_ms)
    result, everything = segments(intake, whole(log)), segments(TickingIntake(RULES), whole(log))
    assert ticks(result) == [t for t in ticks(everything) if t >= START_MS + from_ms]
    assert len(list(events_in(batch for _, batch in result))) == len(good(log))


def test_the_first_tick_may_be_at_the_start_itself() -> None:
    intake = TickingIntake(RULES)
    intake.start_ticks_at(START_MS + 2 * TICK_MS)
    result = segments(intake, [([entry(0, GOOD[0])], START_MS + 2 * TICK_MS)])
    assert ticks(result) == [START_MS + 2 * TICK_MS]


@settings(max_examples=60, deadline=None)
@given(logs())
def test_an_invalid_entry_is_rejected_with_its_reason_and_changes_nothing_else(
    log: list[Entry],
) -> None:
    intake, undisturbed = TickingIntake(RULES), TickingIntake(RULES)
    result = segments(intake, whole(log))
    assert result == segments(undisturbed, [(good(log), end_of(log))])
    wrong = [(some, WRONG[some[2:]]) for some in log if some[2:] in WRONG]
    assert [tuple(rejected) for rejected in intake.rejected] == wrong
    assert undisturbed.rejected == []
    assert intake.accepted == len(good(log))
    assert intake.skipped == len(log) - len(good(log)) - len(wrong)


def test_an_entry_too_late_for_its_tick_counts_in_the_next_one() -> None:
    intake = TickingIntake(RULES)
    result = segments(
        intake,
        [
            ([entry(1000, GOOD[0])], START_MS + 2 * TICK_MS),
            ([entry(3000, GOOD[1])], START_MS + 3 * TICK_MS),
        ],
    )
    assert ticks(result) == [START_MS + TICK_MS * count for count in (1, 2, 3)]
    assert [event.at_ms for event in events_in([result[2][1]])] == [START_MS + 2 * TICK_MS]


def test_an_entry_that_is_late_after_a_silence_counts_in_the_next_tick() -> None:
    reads = [
        ([entry(0, GOOD[0])], START_MS + 100_000),
        ([entry(30_000, GOOD[1])], START_MS + 200_000),
    ]
    result = segments(TickingIntake(RULES), reads)
    assert [tick_ms - START_MS for tick_ms in ticks(result)[3:]] == [105_000, 110_000, 115_000]
    assert [event.at_ms for event in events_in([result[3][1]])] == [START_MS + 100_000]


@pytest.mark.timeout(10)
def test_a_long_silence_takes_no_time() -> None:
    a_thousand_years_ms = 1000 * 365 * 86_400_000
    result = segments(TickingIntake(RULES), [([entry(0, GOOD[0])], START_MS + a_thousand_years_ms)])
    assert len(ticks(result)) == 3


@settings(max_examples=60, deadline=None)
@given(st.lists(logs(), max_size=4))
@example([[entry(0, GOOD[0])], [entry(1, NOT_OURS[0]), entry(90_001, GOOD[0])]])
def test_late_entries_are_neither_lost_nor_before_the_last_tick(
    some_logs: list[list[Entry]],
) -> None:
    reads = [(log, end_of(log)) for log in some_logs]
    result = segments(TickingIntake(RULES), reads)
    last_ms = 0
    for tick_ms, batch in result:
        assert all(event.at_ms >= last_ms for event in events_in([batch]))
        assert tick_ms is None or tick_ms > last_ms
        last_ms = tick_ms or last_ms
    seen = len(list(events_in(batch for _, batch in result)))
    assert seen == sum(len(good(log)) for log in some_logs)


def test_a_watermark_before_the_first_entry_brings_no_tick() -> None:
    assert list(TickingIntake(RULES).take_ticking([], START_MS)) == []


@pytest.mark.parametrize("last_ms", [0, 1, 4999, 5000])
def test_the_tick_after_the_last_event_shows_it(last_ms: int) -> None:
    intake = TickingIntake(RULES)
    list(intake.take_ticking([entry(0, GOOD[0]), entry(last_ms, GOOD[0])]))
    due = intake.next_tick_ms
    assert due == START_MS + last_ms - last_ms % TICK_MS + TICK_MS
    *_, last = intake.take_ticking([], due)
    assert last == TickDue(due)
    assert intake.flush() == {}


def test_an_intake_without_entries_has_no_next_tick() -> None:
    assert TickingIntake(RULES).next_tick_ms is None


@pytest.mark.parametrize(("name", "tenant"), [(REACTION, "default"), (f"acme:{REACTION}", "acme")])
def test_the_tenant_comes_from_the_name_alone(name: str, tenant: str) -> None:
    body = b'{"sessionId": "globex:s", "tenantId": "globex", "tenant": "globex"}'
    ((_, batch),) = segments(TickingIntake(RULES), [([entry(0, (name, body))], None)])
    assert list(batch) == [(tenant, "globex:s")]


@pytest.mark.parametrize("tenant", ["", "ACME", "-acme", "acme:eu", "a" * 64, "acme eu"])
def test_a_name_with_an_invalid_tenant_is_unknown(tenant: str) -> None:
    intake = TickingIntake(RULES)
    assert segments(intake, [([entry(0, (f"{tenant}:{REACTION}", GOOD[3][1]))], None)]) == [
        (None, {})
    ]
    assert [rejected.reason for rejected in intake.rejected] == ["unknown_name"]


def test_a_restamped_entry_that_is_rejected_keeps_its_id() -> None:
    intake = TickingIntake(RULES)
    restamped = RestampedEntry(entry(60_000, (REACTION, b"no json")), START_MS, 3)
    list(intake.take_ticking([restamped], START_MS + 1))
    [rejected] = intake.rejected
    assert id_of(rejected.entry) == id_of(restamped) == (START_MS + 60_000, restamped.id[1])
