"""Text that is not a log line changes only a count, and no input makes the report fail."""

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

INVALID_LINES = [
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


@pytest.mark.parametrize("text", INVALID_LINES, ids=range(len(INVALID_LINES)))
def test_text_that_is_not_a_log_line_is_ignored_and_counted(text: bytes) -> None:
    report = report_of(text, text, sessions(row()))
    assert (report.lines.read, report.lines.ignored) == (3, 2)
    assert len(report.sessions) == 1


@pytest.mark.parametrize("before", [b"collector-1  | ", b"Jan 04 12:00:00 host conductor[7]: "])
def test_a_prefix_that_a_log_collector_adds_to_a_line_is_skipped(before: bytes) -> None:
    report = report_of(before + sessions(row()))
    assert (report.lines.ignored, len(report.sessions)) == (0, 1)


@pytest.mark.parametrize("event", KINDS)
def test_no_line_of_a_log_event_is_ignored(event: str) -> None:
    assert report_of(line(event)).lines.ignored == 0


def test_memory_is_bounded_however_many_names_there_are() -> None:
    model = ServiceModel(followed=SessionKey("acme", "s0"))
    for number in range(2 * MAX_HISTORIES):
        model.add(of_session("actor_failed", f"acme/s{number}", error="x" * 100_000))
        model.add(actor(f"kind {number}"))
        model.add(line("outage_began", service=f"service {number}", error="x"))
        model.add(line("gap_detected", tenant=f"t{number}", lost_events=1))
    for _ in range(3 * MAX_INCIDENTS):
        model.add(of_session("actor_restarted", "acme/s0"))
    report = make_report(model, NOON)
    assert len(report.sessions) == MAX_HISTORIES
    assert len(report.actors) <= MAX_NAMES
    assert len(report.outages) <= MAX_NAMES
    assert report.followed is not None
    assert len(report.followed.incidents) == MAX_INCIDENTS
    assert report.followed.session.failures == 1
    assert max(len(one.last_error or "") for one in report.sessions) <= 500


def test_times_at_both_ends_of_the_calendar_can_be_reported() -> None:
    first, last = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"
    for stamps in ([first, last], [last, first]):
        for stamp in stamps:
            lines = [
                line("outage_continues", service="redis", lasted_s=1e12, timestamp=stamp),
                line("batch_written", rows=1, timestamp=stamp),
                line("events_routed", events=1, timestamp=stamp),
                line("batch_written", rows=1, timestamp=stamps[0]),
            ]
            report = report_of(*lines)
            assert report.lines.ignored == 0
            json.dumps(msgspec.to_builtins(report), allow_nan=False)


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
def test_the_report_of_any_lines_is_valid_json(texts: list[bytes]) -> None:
    report = report_of(*texts, followed=KEYNOTE)
    assert report.lines.read == len(texts)
    assert report.lines.ignored <= len(texts)
    json.dumps(msgspec.to_builtins(report), allow_nan=False)


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
def test_text_that_is_not_a_log_line_changes_only_a_count(
    texts: list[bytes], data: st.DataObject
) -> None:
    mixed = [*texts]
    for text in data.draw(st.lists(st.sampled_from(INVALID_LINES[:16]), max_size=5)):
        mixed.insert(data.draw(st.integers(0, len(mixed))), text)
    plain, found = report_of(*texts), report_of(*mixed)
    assert found.lines.ignored == len(mixed) - len(texts)
    assert msgspec.structs.replace(found, lines=plain.lines) == plain


@given(st.lists(ordinary, max_size=30))
def test_figures_are_the_sums_of_the_lines(texts: list[bytes]) -> None:
    written = [json.loads(text) for text in texts]
    report = report_of(*texts)
    assert report.flow.lost_events == sum(each.get("lost_events", 0) for each in written)
    assert sum(one.restarts for one in report.sessions) == sum(
        each["event"] == "actor_restarted" for each in written
    )
    rows = sum(each.get("rows", 0) for each in written)
    assert math.isclose(report.flow.rows_per_s or 0, rows / 15, abs_tol=0.001)
