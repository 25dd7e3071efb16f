"""The statistics of actors, and the report of a slow handler."""

from structlog.typing import EventDict

from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.actors.stats import Stats
from conductor_actors.log_events import VERSION
from tests.actors.pooled_handlers import BlockedThread
from tests.actors.session_events import poison
from tests.actors.session_harness import SessionHarness
from tests.support.fakes.fake_clock import FakeClock
from tests.support.score_rows import AT_MS


def test_each_kind_of_actor_is_reported_every_5_s(
    sessions: SessionHarness, log_lines: list[EventDict]
) -> None:
    mailbox = ThreadMailbox(sessions.clock)
    stats = Stats(sessions.dispatcher, sessions.supervisor, {"writer": mailbox}, sessions.clock)
    sessions.send_and_tick(sessions.start("s"), [poison()], AT_MS + 5000)
    mailbox.tell("waiting")
    stats.count_failure("writer")
    log_lines.clear()
    sessions.clock.advance(4.9)
    stats.report()
    assert log_lines == []
    sessions.clock.advance(0.1)
    stats.report()
    stats.report()
    service, session_line, writer, *top = log_lines
    assert (service["event"], service["vocabulary"], service["uptime_s"]) == (
        "service_stats",
        VERSION,
        5,
    )
    assert [line["event"] for line in top] == ["session_stats", "tenant_stats"]
    assert {key: session_line[key] for key in ("kind", "count", "handled", "failures")} == {
        "kind": "session",
        "count": 1,
        "handled": 2,
        "failures": 1,
    }
    assert (writer["kind"], writer["mailbox_depth"], writer["oldest_s"]) == ("writer", 1, 5.0)
    assert writer["failures"] == 1


def test_a_handler_slower_than_a_second_is_reported_with_its_stack(
    log_lines: list[EventDict],
) -> None:
    clock = FakeClock()
    dispatcher = Dispatcher(1, clock)
    sessions = SessionHarness(dispatcher)
    stats = Stats(dispatcher, sessions.supervisor, {}, clock)
    blocked = BlockedThread(dispatcher, "sluggish")
    clock.advance(1.5)
    stats.report()
    blocked.release()
    (line,) = log_lines
    assert (line["event"], line["name"], line["running_s"]) == ("handler_slow", "sluggish", 1.5)
    assert "_hold" in line["stack"]
    dispatcher.close()
