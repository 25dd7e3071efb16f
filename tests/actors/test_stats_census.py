"""What is said of single sessions and tenants: little, and the right ones."""

from typing import Any

import msgspec
import pytest
from structlog.typing import EventDict

from conductor_actors.actors.messages import Passivate
from conductor_actors.actors.runtime.dispatcher import MAX_MESSAGES, Dispatcher
from conductor_actors.actors.runtime.mailbox import PooledMailbox
from conductor_actors.actors.stats import MOST_EACH, MOST_TENANTS, TopSessions
from conductor_actors.log_events import SessionFigures, TenantFigures
from tests.actors.turns import PATIENCE_S, Died, Held, attach
from tests.support.fakes.fake_clock import FakeClock


class Hall:
    """Sessions that count as busy for as long as their messages say."""

    def __init__(self, lines: list[EventDict]) -> None:
        self.clock = FakeClock()
        self.dispatcher = Dispatcher(1, self.clock)
        self.census = TopSessions(self.dispatcher, self.clock)
        self._lines = lines

    def enter(self, name: str) -> PooledMailbox:
        mailbox = PooledMailbox(name, self.dispatcher)
        attach(self.dispatcher, mailbox, self._handle)
        return mailbox

    def settle(self) -> None:
        assert self.dispatcher.wait_idle(PATIENCE_S)

    def report(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Let 5 s pass since the last one, whatever was busy meanwhile."""
        self._lines.clear()
        self.census.report()
        sessions, tenants = self._lines
        assert (sessions["event"], tenants["event"]) == ("session_stats", "tenant_stats")
        return msgspec.to_builtins(dict(sessions)), msgspec.to_builtins(dict(tenants))

    def _handle(self, message: object) -> None:
        if isinstance(message, float):
            self.clock.advance(message)
        elif message == "fail":
            raise Died


@pytest.fixture
def hall(log_lines: list[EventDict]) -> Hall:
    return Hall(log_lines)


def test_a_session_is_described_by_what_it_did_since_the_last_report(hall: Hall) -> None:
    mailbox = hall.enter("acme/keynote")
    mailbox.tell(0.5)
    hall.settle()
    hall.clock.advance(4.5)
    first, tenants = hall.report()
    row = SessionFigures("acme", "keynote", "running", 0, 0.2, 0.1, 0.0, 0)
    assert (first["count"], first["sessions"]) == (1, [msgspec.to_builtins(row)])
    sums = TenantFigures("acme", 1, 0, 0, 0.2, 0.1, 0.0, 0)
    assert (tenants["count"], tenants["tenants"]) == (1, [msgspec.to_builtins(sums)])
    hall.clock.advance(5)
    [row] = hall.report()[0]["sessions"]
    assert (row["handled_per_s"], row["busy_share"]) == (0.0, 0.0)


def test_what_waits_is_counted_with_its_age(hall: Hall) -> None:
    mailbox = hall.enter("acme/keynote")
    hall.settle()
    held = Held(hall.dispatcher, "globex/held")
    for message in ("first", "second"):
        mailbox.tell(message)
        hall.clock.advance(2)
    rows = {row["session"]: row for row in hall.report()[0]["sessions"]}
    assert (rows["keynote"]["mailbox_depth"], rows["keynote"]["oldest_s"]) == (2, 4.0)
    assert rows["held"]["mailbox_depth"] == 0
    held.release()


def test_the_age_is_that_of_the_oldest_message_that_still_waits(hall: Hall) -> None:
    held, mailbox = Held(hall.dispatcher), hall.enter("acme/keynote")
    for _ in range(MAX_MESSAGES):
        mailbox.tell("of the first turn")
    hall.clock.advance(3)
    mailbox.tell("of the second")
    second = Held(hall.dispatcher, waits=True)  # between the two turns
    hall.clock.advance(1)
    assert mailbox.oldest_s(hall.clock()) == 4.0
    held.release()
    second.wait()
    assert (mailbox.depth(), mailbox.oldest_s(hall.clock())) == (1, 1.0)
    assert hall.dispatcher.oldest_s() == 0.0  # it waits for a turn since its last one
    second.release()
    hall.settle()
    assert mailbox.oldest_s(hall.clock()) == 0.0


def test_states_tell_quarantined_restarting_and_passivating_sessions(hall: Hall) -> None:
    names = ("running", "restarting", "quarantined", "passivating")
    running, restarting, quarantined, passivating = (hall.enter(f"acme/{name}") for name in names)
    restarting.tell("fail")
    quarantined.tell("fail")
    hall.settle()
    hall.dispatcher.close_mailbox(quarantined)
    quarantined.tell("refused")
    held = Held(hall.dispatcher)
    passivating.tell(Passivate())
    running.tell("message")
    sessions, tenants = hall.report()
    states = {row["session"]: row["state"] for row in sessions["sessions"]}
    assert {name: states[name] for name in names} == {name: name for name in names}
    refused = {row["session"]: row["refused"] for row in sessions["sessions"]}
    assert (refused["quarantined"], refused["running"]) == (1, 0)
    [acme] = [row for row in tenants["tenants"] if row["tenant"] == "acme"]
    assert (acme["sessions"], acme["quarantined"], acme["refused"]) == (4, 1, 1)
    held.release()


def test_a_session_that_has_stopped_is_not_counted(hall: Hall) -> None:
    mailbox = hall.enter("acme/keynote")
    hall.settle()
    mailbox.retire()
    sessions, tenants = hall.report()
    assert (sessions["count"], sessions["sessions"]) == (0, [])
    assert (tenants["count"], tenants["tenants"]) == (0, [])


def test_of_many_sessions_those_are_listed_that_lead_in_any_figure(hall: Hall) -> None:
    crowd = [hall.enter(f"acme/s{number}") for number in range(10 * MOST_EACH)]
    leaders = ("busy", "chatty", "deep", "old")
    busy, chatty, deep, old = (hall.enter(f"acme/{name}") for name in leaders)
    for mailbox in crowd:
        mailbox.tell("message")
    busy.tell(0.01)
    for _ in range(10):
        chatty.tell("message")
    hall.settle()
    held = Held(hall.dispatcher)
    old.tell("message")
    hall.clock.advance(1)
    for mailbox in (*crowd, deep, deep):
        mailbox.tell("message")
        mailbox.tell("message")
    sessions, _ = hall.report()
    names = [row["session"] for row in sessions["sessions"]]
    assert sessions["count"] == len(crowd) + len(leaders) + 1
    assert set(leaders) <= set(names)
    assert len(names) == len(set(names)) <= 4 * MOST_EACH
    held.release()


def test_however_many_fail_or_wait_the_lists_stay_short(hall: Hall) -> None:
    crowd = [hall.enter(f"tenant-{number}/s") for number in range(4 * MOST_TENANTS)]
    for mailbox in crowd:
        mailbox.tell("fail")
        mailbox.tell("waits for a successor")
    hall.settle()
    sessions, tenants = hall.report()
    assert len(sessions["sessions"]) <= 5 * MOST_EACH
    assert (tenants["count"], len(tenants["tenants"])) == (len(crowd), MOST_TENANTS)


def test_a_tenants_name_ends_at_the_first_slash(hall: Hall) -> None:
    hall.enter("acme/a/b")
    [row] = hall.report()[0]["sessions"]
    assert (row["tenant"], row["session"]) == ("acme", "a/b")
