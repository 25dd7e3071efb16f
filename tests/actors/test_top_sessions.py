"""The busiest sessions of a collector, and its tenants, in the log."""

from heapq import nlargest
from operator import attrgetter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.typing import EventDict

from conductor_actors.actors.messages import Passivate
from conductor_actors.actors.runtime.dispatcher import MAX_TURN_MESSAGES, Dispatcher
from conductor_actors.actors.runtime.mailbox import PooledMailbox
from conductor_actors.actors.top_sessions import (
    MAX_PER_RANKING,
    MAX_TENANT_ROWS,
    Ranking,
    SessionActivity,
    TopSessions,
)
from conductor_actors.log_events import SessionFigures, TenantFigures
from tests.actors.pooled_handlers import MAX_WAIT_S, BlockedThread, HandlerDied, attach_handler
from tests.support.fakes.fake_clock import FakeClock


class BusySessions:
    """Sessions whose handlers take the seconds that a message is, on a fake clock."""

    def __init__(self, lines: list[EventDict]) -> None:
        self.clock = FakeClock()
        self.dispatcher = Dispatcher(1, self.clock)
        self._top_sessions = TopSessions(self.dispatcher, self.clock)
        self._lines = lines

    def start(self, name: str) -> PooledMailbox:
        mailbox = PooledMailbox(name, self.dispatcher)
        attach_handler(self.dispatcher, mailbox, self._handle)
        return mailbox

    def settle(self) -> None:
        assert self.dispatcher.wait_idle(MAX_WAIT_S)

    def report(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Report the activity since the last report; return both lines."""
        self._lines.clear()
        self._top_sessions.report()
        sessions, tenants = self._lines
        assert (sessions["event"], tenants["event"]) == ("session_stats", "tenant_stats")
        return msgspec.to_builtins(dict(sessions)), msgspec.to_builtins(dict(tenants))

    def _handle(self, message: object) -> None:
        if isinstance(message, float):
            self.clock.advance(message)
        elif message == "fail":
            raise HandlerDied


@pytest.fixture
def busy_sessions(log_lines: list[EventDict]) -> BusySessions:
    return BusySessions(log_lines)


def test_the_figures_of_a_session_cover_the_time_since_the_last_report(
    busy_sessions: BusySessions,
) -> None:
    mailbox = busy_sessions.start("acme/keynote")
    mailbox.tell(0.5)
    busy_sessions.settle()
    busy_sessions.clock.advance(4.5)
    first, tenants = busy_sessions.report()
    row = SessionFigures("acme", "keynote", "running", 0, 0.2, 0.1, 0.0, 0)
    assert (first["count"], first["sessions"]) == (1, [msgspec.to_builtins(row)])
    sums = TenantFigures("acme", 1, 0, 0, 0.2, 0.1, 0.0, 0)
    assert (tenants["count"], tenants["tenants"]) == (1, [msgspec.to_builtins(sums)])
    busy_sessions.clock.advance(5)
    [row] = busy_sessions.report()[0]["sessions"]
    assert (row["handled_per_s"], row["busy_share"]) == (0.0, 0.0)


def test_the_waiting_messages_of_a_session_are_counted_with_the_age_of_the_oldest(
    busy_sessions: BusySessions,
) -> None:
    mailbox = busy_sessions.start("acme/keynote")
    busy_sessions.settle()
    blocked = BlockedThread(busy_sessions.dispatcher, "globex/blocked")
    for message in ("first", "second"):
        mailbox.tell(message)
        busy_sessions.clock.advance(2)
    rows = {row["session"]: row for row in busy_sessions.report()[0]["sessions"]}
    assert (rows["keynote"]["mailbox_depth"], rows["keynote"]["oldest_s"]) == (2, 4.0)
    assert rows["blocked"]["mailbox_depth"] == 0
    blocked.release()


def test_a_message_that_was_handled_no_longer_counts_for_the_oldest_age(
    busy_sessions: BusySessions,
) -> None:
    blocked, mailbox = BlockedThread(busy_sessions.dispatcher), busy_sessions.start("acme/keynote")
    for _ in range(MAX_TURN_MESSAGES):
        mailbox.tell("of the first turn")
    busy_sessions.clock.advance(3)
    mailbox.tell("of the second")
    second = BlockedThread(busy_sessions.dispatcher, waits=True)  # between the two turns
    busy_sessions.clock.advance(1)
    assert mailbox.oldest_s(busy_sessions.clock()) == 4.0
    blocked.release()
    second.wait()
    assert (mailbox.depth(), mailbox.oldest_s(busy_sessions.clock())) == (1, 1.0)
    assert busy_sessions.dispatcher.oldest_s() == 0.0  # it waits for a turn since its last one
    second.release()
    busy_sessions.settle()
    assert mailbox.oldest_s(busy_sessions.clock()) == 0.0


def test_a_session_is_running_restarting_quarantined_or_passivating(
    busy_sessions: BusySessions,
) -> None:
    names = ("running", "restarting", "quarantined", "passivating")
    running, restarting, quarantined, passivating = (
        busy_sessions.start(f"acme/{name}") for name in names
    )
    restarting.tell("fail")
    quarantined.tell("fail")
    busy_sessions.settle()
    busy_sessions.dispatcher.close_mailbox(quarantined)
    quarantined.tell("refused")
    blocked = BlockedThread(busy_sessions.dispatcher)
    passivating.tell(Passivate())
    running.tell("message")
    sessions, tenants = busy_sessions.report()
    states = {row["session"]: row["state"] for row in sessions["sessions"]}
    assert {name: states[name] for name in names} == {name: name for name in names}
    refused = {row["session"]: row["refused"] for row in sessions["sessions"]}
    assert (refused["quarantined"], refused["running"]) == (1, 0)
    [acme] = [row for row in tenants["tenants"] if row["tenant"] == "acme"]
    assert (acme["sessions"], acme["quarantined"], acme["refused"]) == (4, 1, 1)
    blocked.release()


def test_a_stopped_session_is_not_counted(busy_sessions: BusySessions) -> None:
    mailbox = busy_sessions.start("acme/keynote")
    busy_sessions.settle()
    mailbox.retire()
    sessions, tenants = busy_sessions.report()
    assert (sessions["count"], sessions["sessions"]) == (0, [])
    assert (tenants["count"], tenants["tenants"]) == (0, [])


def test_sessions_that_lead_in_any_ranking_are_listed(busy_sessions: BusySessions) -> None:
    crowd = [busy_sessions.start(f"acme/s{number}") for number in range(10 * MAX_PER_RANKING)]
    leaders = ("busy", "chatty", "deep", "old")
    busy, chatty, deep, old = (busy_sessions.start(f"acme/{name}") for name in leaders)
    for mailbox in crowd:
        mailbox.tell("message")
    busy.tell(0.01)
    for _ in range(10):
        chatty.tell("message")
    busy_sessions.settle()
    blocked = BlockedThread(busy_sessions.dispatcher)
    old.tell("message")
    busy_sessions.clock.advance(1)
    for mailbox in (*crowd, deep, deep):
        mailbox.tell("message")
        mailbox.tell("message")
    sessions, _ = busy_sessions.report()
    names = [row["session"] for row in sessions["sessions"]]
    assert sessions["count"] == len(crowd) + len(leaders) + 1
    assert set(leaders) <= set(names)
    assert len(names) == len(set(names)) <= 4 * MAX_PER_RANKING
    blocked.release()


@given(st.lists(st.integers(0, 9) | st.floats(0, 9), max_size=5 * MAX_PER_RANKING))
def test_a_ranking_has_the_highest_values_in_order_and_of_equal_ones_the_first(
    values: list[float],
) -> None:
    dispatcher = Dispatcher(0)
    sessions = [
        SessionActivity(PooledMailbox(f"acme/s{number}", dispatcher), 0, 0, value, 0.0)
        for number, value in enumerate(values)
    ]
    ranking = Ranking()
    for one in sessions:
        ranking.add(one.busy_s, one)
    assert ranking.sessions() == nlargest(MAX_PER_RANKING, sessions, key=attrgetter("busy_s"))


def test_the_lists_are_bounded_however_many_sessions_fail_or_wait(
    busy_sessions: BusySessions,
) -> None:
    crowd = [busy_sessions.start(f"tenant-{number}/s") for number in range(4 * MAX_TENANT_ROWS)]
    for mailbox in crowd:
        mailbox.tell("fail")
        mailbox.tell("waits for a successor")
    busy_sessions.settle()
    sessions, tenants = busy_sessions.report()
    assert len(sessions["sessions"]) <= 5 * MAX_PER_RANKING
    assert (tenants["count"], len(tenants["tenants"])) == (len(crowd), MAX_TENANT_ROWS)


def test_a_tenant_ends_at_the_first_slash_of_a_session_name(busy_sessions: BusySessions) -> None:
    busy_sessions.start("acme/a/b")
    [row] = busy_sessions.report()[0]["sessions"]
    assert (row["tenant"], row["session"]) == ("acme", "a/b")
