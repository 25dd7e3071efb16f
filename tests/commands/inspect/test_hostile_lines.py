"""Any input at all: what is no line of the log changes nothing, and nothing breaks the model."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.commands.inspect.histories import MAX_HISTORIES, MAX_INCIDENTS
from conductor_actors.commands.inspect.report import make_report
from conductor_actors.commands.inspect.service_model import MAX_LINE_BYTES, MAX_NAMES, ServiceModel
from conductor_actors.domain.identity import SessionKey
from tests.commands.inspect.sample_lines import (
    actor,
    line,
    of_session,
    report_of,
    row,
    sessions,
    tenant_row,
)
from tests.support.log_lines import KINDS, NOON, key_names, raw_line

KEYNOTE = SessionKey("acme", "keynote")

NO_LOG_LINES = [
    b"starting; the log is in /var/log/demo.log",
    b"{",
    b"{}",
    b"[]",
    b"null",
    b'"batch_written"',
    b"\xff\xfe{\x00}",
    b"[" * 100_000 + b"{" * 100_000,
    raw_line("somebody_elses"),
    raw_line("batch_written"),
    line("batch_written", rows=-1),
    line("batch_written", rows="3"),
    line("batch_written", rows=1e300),
    line("batch_written", rows=10**400),
    line("batch_written", rows=3).replace(b"2026", b"noon"),
    line("batch_written", rows=3).replace(b"Z", b""),
    line("batch_written", rows=3)[:-5],
    line("batch_written", rows=3, more="x" * MAX_LINE_BYTES),
    line("session_stats", count=1, sessions=[row(mailbox_depth=None)]),
    line("session_stats", count=1, sessions=[row()] * 1001),
    actor("k" * 513),
]


@pytest.mark.parametrize("text", NO_LOG_LINES, ids=range(len(NO_LOG_LINES)))
def test_a_text_that_is_no_log_line_is_ignored_and_counted(text: bytes) -> None:
    known = report_of(text, text, sessions(row()))
    assert (known.lines.read, known.lines.ignored) == (3, 2)
    assert len(known.sessions) == 1


@pytest.mark.parametrize("before", [b"collector-1  | ", b"Jan 04 12:00:00 host conductor[7]: "])
def test_a_prefix_that_a_log_collector_adds_to_a_line_is_skipped(before: bytes) -> None:
    known = report_of(before + sessions(row()))
    assert (known.lines.ignored, len(known.sessions)) == (0, 1)


@pytest.mark.parametrize("event", KINDS)
def test_no_line_of_a_log_event_is_ignored(event: str) -> None:
    assert report_of(line(event)).lines.ignored == 0


def test_memory_is_bounded_however_many_names_are_made_up() -> None:
    model = ServiceModel(followed=SessionKey("acme", "s0"))
    for number in range(2 * MAX_HISTORIES):
        model.add(of_session("actor_failed", f"acme/s{number}", error="x" * 100_000))
        model.add(actor(f"kind {number}"))
        model.add(line("outage_began", service=f"service {number}", error="x"))
        model.add(line("gap_detected", tenant=f"t{number}", lost_events=1))
    for _ in range(3 * MAX_INCIDENTS):
        model.add(of_session("actor_restarted", "acme/s0"))
    known = make_report(model, NOON)
    assert len(known.sessions) == MAX_HISTORIES
    assert len(known.actors) <= MAX_NAMES
    assert len(known.outages) <= MAX_NAMES
    assert known.followed is not None
    assert len(known.followed.incidents) == MAX_INCIDENTS
    assert known.followed.session.failures == 1
    assert max(len(one.last_error or "") for one in known.sessions) <= 500


def test_times_at_the_ends_of_the_calendar_break_nothing() -> None:
    first, last = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"
    for stamps in ([first, last], [last, first]):
        for stamp in stamps:
            lines = [
                line("outage_continues", service="redis", lasted_s=1e12, timestamp=stamp),
                line("batch_written", rows=1, timestamp=stamp),
                line("events_routed", events=1, timestamp=stamp),
                line("batch_written", rows=1, timestamp=stamps[0]),
            ]
            known = report_of(*lines)
            assert known.lines.ignored == 0
            json.dumps(msgspec.to_builtins(known), allow_nan=False)


numbers = st.sampled_from([0, 1, -1, 0.5, 2**53, 2**64, 1e12, -1e300, None])
names = st.sampled_from(["acme", "keynote", "writer", "session", "*", "", "\x1b[2J", "\u202e/", 7])
stamps = st.sampled_from(
    [
        *("2026-01-04T12:00:00Z", "2026-01-04T12:00:05Z", "0001-01-01T00:00:00Z"),
        *("9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
    ]
)
LISTS = {
    "sessions": st.lists(st.builds(row, mailbox_depth=numbers, state=names), max_size=3),
    "tenants": st.lists(st.builds(tenant_row, names, oldest_s=numbers), max_size=3),
}


def hostile_lines_of(event: str) -> st.SearchStrategy[bytes]:
    """Return lines of an event whose keys may have any value."""
    keys: dict[str, st.SearchStrategy[Any]] = {"tenant": names, "session": names, "actor": names}
    for key in key_names(KINDS[event]):
        is_figure = key.endswith(("_s", "_ms", "count", "s", "depth", "handled"))
        keys[key] = LISTS.get(key, numbers) if is_figure else names
    filled = st.fixed_dictionaries({"event": st.just(event), "timestamp": stamps, **keys})
    return filled.map(lambda each: json.dumps(each).encode())


hostile_lines = st.one_of(*map(hostile_lines_of, KINDS))


@given(st.lists(st.binary(max_size=80) | hostile_lines, max_size=30))
def test_any_lines_make_a_document_that_json_can_hold(texts: list[bytes]) -> None:
    known = report_of(*texts, followed=KEYNOTE)
    assert known.lines.read == len(texts)
    assert known.lines.ignored <= len(texts)
    json.dumps(msgspec.to_builtins(known), allow_nan=False)


ordinary = st.one_of(
    st.integers(0, 1000).map(lambda rows: line("batch_written", rows=rows)),
    st.builds(
        of_session,
        st.sampled_from(["actor_failed", "actor_restarted", "session_quarantined"]),
        st.sampled_from(["acme/a", "acme/b"]),
    ),
    st.integers(0, 9).map(lambda depth: sessions(row("acme/a", mailbox_depth=depth))),
    st.integers(0, 9).map(lambda lost: line("gap_detected", tenant="acme", lost_events=lost)),
)


@given(st.lists(ordinary, max_size=30), st.data())
def test_texts_that_are_no_log_lines_change_only_their_count(
    texts: list[bytes], data: st.DataObject
) -> None:
    mixed = [*texts]
    for text in data.draw(st.lists(st.sampled_from(NO_LOG_LINES[:16]), max_size=5)):
        mixed.insert(data.draw(st.integers(0, len(mixed))), text)
    plain, found = report_of(*texts), report_of(*mixed)
    assert found.lines.ignored == len(mixed) - len(texts)
    assert msgspec.structs.replace(found, lines=plain.lines) == plain


@given(st.lists(ordinary, max_size=30))
def test_figures_are_the_sums_of_the_lines(texts: list[bytes]) -> None:
    written = [json.loads(text) for text in texts]
    known = report_of(*texts)
    assert known.flow.lost_events == sum(each.get("lost_events", 0) for each in written)
    assert sum(one.restarts for one in known.sessions) == sum(
        each["event"] == "actor_restarted" for each in written
    )
    rows = sum(each.get("rows", 0) for each in written)
    assert math.isclose(known.flow.rows_per_s or 0, rows / 15, abs_tol=0.001)
