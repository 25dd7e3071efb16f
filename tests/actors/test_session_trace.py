"""A trace reports each message that a session handles, and costs other sessions nothing."""

from structlog.typing import EventDict

from conductor_actors.actors.messages import EventBatch, Passivate
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.session_trace import TRACE_BURST_LINES
from conductor_actors.domain.introspection_protocol import IntrospectionAnswer
from conductor_actors.domain.scoring import Scoring
from tests.actors.session_events import chat, chats, join, poison
from tests.actors.session_harness import SessionHarness
from tests.support.score_rows import AT_MS

TICK_MS = AT_MS + 5000


def lines_named(lines: list[EventDict], event: str = "message_traced") -> list[EventDict]:
    return [line for line in lines if line["event"] == event]


def outcomes(lines: list[EventDict]) -> list[tuple[str, bool]]:
    return [(line["kind"], line["has_failed"]) for line in lines_named(lines)]


def test_a_trace_reports_each_message_with_its_kinds_and_its_score(
    sessions: SessionHarness, log_lines: list[EventDict]
) -> None:
    mailbox = sessions.start("s")
    answer = sessions.introspect("s", trace_s=60)
    assert answer == IntrospectionAnswer(id="1", is_known=True, traced_s=60)
    (row,) = sessions.send_and_tick(mailbox, [join(), *chats(2)], TICK_MS)
    batch, tick = lines_named(log_lines)
    assert (batch["kind"], batch["events"]) == ("EventBatch", 3)
    assert batch["kinds"] == {"ChatMessage": 2, "UserJoined": 1}
    assert (tick["kind"], tick["tick_at_ms"], tick["score"]) == ("Tick", TICK_MS, row.score)
    for line in (batch, tick):
        assert (line["tenant"], line["session"]) == ("default", "s")
        assert (line["suppressed"], line["has_failed"]) == (0, False)
        assert line["duration_s"] >= 0
    assert "user-" not in repr(log_lines)


def test_a_trace_changes_no_row(sessions: SessionHarness) -> None:
    untraced, with_trace = sessions.start("quiet"), sessions.start("s")
    sessions.introspect("s", trace_s=600)
    for number in range(20):
        at_ms = TICK_MS + number * 5000
        rows = [
            sessions.send_and_tick(mailbox, [chat(number, at_ms - 1)], at_ms)[0]
            for mailbox in (untraced, with_trace)
        ]
        assert (rows[0].signals, rows[0].score) == (rows[1].signals, rows[1].score)


def test_a_trace_ends_in_time_and_can_begin_again(
    sessions: SessionHarness, log_lines: list[EventDict]
) -> None:
    mailbox = sessions.start("s")
    sessions.introspect("s", trace_s=60)
    sessions.send_and_tick(mailbox, chats(1), TICK_MS)
    sessions.clock.advance(59)
    sessions.supervisor.end_traces()
    assert lines_named(log_lines, "trace_ended") == []
    sessions.clock.advance(1)
    sessions.supervisor.end_traces()
    sessions.send_and_tick(mailbox, chats(1), TICK_MS + 5000)
    assert len(lines_named(log_lines)) == 2
    (end,) = lines_named(log_lines, "trace_ended")
    assert (end["messages"], end["suppressed"]) == (2, 0)
    assert sessions.introspect("s", trace_s=60).traced_s == 60
    sessions.send_and_tick(mailbox, chats(1), TICK_MS + 10_000)
    assert len(lines_named(log_lines)) == 4


def test_a_second_trace_extends_the_first_and_a_shorter_one_does_not_cut_it(
    sessions: SessionHarness, log_lines: list[EventDict]
) -> None:
    mailbox = sessions.start("s")
    sessions.introspect("s", trace_s=60)
    sessions.clock.advance(30)
    assert sessions.introspect("s", trace_s=60).traced_s == 60
    assert sessions.introspect("s", trace_s=10).traced_s == 60
    sessions.send_and_tick(mailbox, chats(1), TICK_MS)
    assert [line["kind"] for line in lines_named(log_lines)] == ["EventBatch", "Tick"]
    assert len(lines_named(log_lines, "trace_began")) == 3


def test_a_trace_is_rate_limited_and_counts_the_messages_it_omits(
    sessions: SessionHarness, log_lines: list[EventDict]
) -> None:
    mailbox = sessions.start("s")
    sessions.introspect("s", trace_s=60)
    for _ in range(100):
        mailbox.tell(EventBatch(chats(1)))
    sessions.settle()
    assert len(lines_named(log_lines)) == TRACE_BURST_LINES
    sessions.clock.advance(1)
    mailbox.tell(EventBatch(chats(1)))
    sessions.settle()
    assert lines_named(log_lines)[-1]["suppressed"] == 100 - TRACE_BURST_LINES
    sessions.clock.advance(60)
    sessions.supervisor.end_traces()
    (end,) = lines_named(log_lines, "trace_ended")
    assert (end["messages"], end["suppressed"]) == (101, 100 - TRACE_BURST_LINES)


def test_a_trace_lasts_through_a_failure_a_quarantine_and_a_passivation(
    sessions: SessionHarness, log_lines: list[EventDict]
) -> None:
    mailbox = sessions.start("s")
    sessions.introspect("s", trace_s=600)
    for _ in range(4):
        sessions.send_and_tick(mailbox, [poison()], TICK_MS)
    sessions.clock.advance(300)
    sessions.supervisor.release_quarantined()
    sessions.send_and_tick(mailbox, chats(1), TICK_MS)
    mailbox.tell(Passivate())
    sessions.settle()
    sessions.send_and_tick(sessions.start("s"), chats(1), TICK_MS)
    assert outcomes(log_lines) == [
        *[("EventBatch", True), ("Tick", False)] * 3,
        ("EventBatch", True),  # and its tick is refused
        *[("EventBatch", False), ("Tick", False)],
        ("Passivate", False),
        *[("EventBatch", False), ("Tick", False)],
    ]


def test_a_tick_that_fails_is_reported_as_failed(
    dispatcher: Dispatcher, log_lines: list[EventDict]
) -> None:
    sessions = SessionHarness(dispatcher, Scoring(chat_max_per_min=0))
    mailbox = sessions.start("s")
    sessions.introspect("s", trace_s=60)
    sessions.send_and_tick(mailbox, chats(1), TICK_MS)
    assert outcomes(log_lines) == [("EventBatch", False), ("Tick", True)]


def test_only_a_traced_session_has_an_observer_and_only_until_its_trace_ends(
    sessions: SessionHarness,
) -> None:
    mailbox, other = sessions.start("s"), sessions.start("other")
    assert mailbox.observer is None
    sessions.introspect("s", trace_s=60)
    mailbox.tell(Passivate())
    sessions.settle()
    successor = sessions.start("s")
    assert mailbox.observer is not None
    assert successor.observer is not None
    assert other.observer is None
    sessions.clock.advance(60)
    sessions.supervisor.end_traces()
    assert mailbox.observer is None
    assert successor.observer is None
