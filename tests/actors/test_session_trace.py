"""A trace reports each message that a session handles, and costs other sessions nothing."""

import pytest
from structlog.typing import EventDict

from conductor_actors.actors.messages import EventBatch, Passivate
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.session_trace import TRACE_BURST_LINES
from conductor_actors.domain.introspection_protocol import IntrospectionAnswer
from conductor_actors.domain.scoring import Scoring
from tests.actors.cast import Cast
from tests.actors.session_events import chat, chats, joined, poison
from tests.support.score_rows import AT_MS

TICK_MS = AT_MS + 5000


@pytest.fixture
def cast(dispatcher: Dispatcher) -> Cast:
    return Cast(dispatcher)


def traced(lines: list[EventDict], event: str = "message_traced") -> list[EventDict]:
    return [line for line in lines if line["event"] == event]


def outcomes(lines: list[EventDict]) -> list[tuple[str, bool]]:
    return [(line["kind"], line["has_failed"]) for line in traced(lines)]


def test_a_trace_reports_each_message_with_its_kinds_and_its_score(
    cast: Cast, log_lines: list[EventDict]
) -> None:
    mailbox = cast.enter("s")
    answer = cast.introspected("s", trace_s=60)
    assert answer == IntrospectionAnswer(id="1", is_known=True, traced_s=60)
    (row,) = cast.play(mailbox, [joined(), *chats(2)], TICK_MS)
    batch, tick = traced(log_lines)
    assert (batch["kind"], batch["events"]) == ("EventBatch", 3)
    assert batch["kinds"] == {"ChatMessage": 2, "UserJoined": 1}
    assert (tick["kind"], tick["tick_at_ms"], tick["score"]) == ("Tick", TICK_MS, row.score)
    for line in (batch, tick):
        assert (line["tenant"], line["session"]) == ("default", "s")
        assert (line["suppressed"], line["has_failed"]) == (0, False)
        assert line["duration_s"] >= 0
    assert "user-" not in repr(log_lines)


def test_a_trace_changes_no_row(cast: Cast) -> None:
    untraced, with_trace = cast.enter("quiet"), cast.enter("s")
    cast.introspected("s", trace_s=600)
    for number in range(20):
        at_ms = TICK_MS + number * 5000
        rows = [
            cast.play(mailbox, [chat(number, at_ms - 1)], at_ms)[0]
            for mailbox in (untraced, with_trace)
        ]
        assert (rows[0].signals, rows[0].score) == (rows[1].signals, rows[1].score)


def test_a_trace_ends_in_time_and_can_begin_again(cast: Cast, log_lines: list[EventDict]) -> None:
    mailbox = cast.enter("s")
    cast.introspected("s", trace_s=60)
    cast.play(mailbox, chats(1), TICK_MS)
    cast.clock.advance(59)
    cast.sessions.end_traces()
    assert traced(log_lines, "trace_ended") == []
    cast.clock.advance(1)
    cast.sessions.end_traces()
    cast.play(mailbox, chats(1), TICK_MS + 5000)
    assert len(traced(log_lines)) == 2
    (end,) = traced(log_lines, "trace_ended")
    assert (end["messages"], end["suppressed"]) == (2, 0)
    assert cast.introspected("s", trace_s=60).traced_s == 60
    cast.play(mailbox, chats(1), TICK_MS + 10_000)
    assert len(traced(log_lines)) == 4


def test_a_second_trace_extends_the_first_and_a_shorter_one_does_not_cut_it(
    cast: Cast, log_lines: list[EventDict]
) -> None:
    mailbox = cast.enter("s")
    cast.introspected("s", trace_s=60)
    cast.clock.advance(30)
    assert cast.introspected("s", trace_s=60).traced_s == 60
    assert cast.introspected("s", trace_s=10).traced_s == 60
    cast.play(mailbox, chats(1), TICK_MS)
    assert [line["kind"] for line in traced(log_lines)] == ["EventBatch", "Tick"]
    assert len(traced(log_lines, "trace_began")) == 3


def test_a_trace_is_rate_limited_and_counts_the_messages_it_omits(
    cast: Cast, log_lines: list[EventDict]
) -> None:
    mailbox = cast.enter("s")
    cast.introspected("s", trace_s=60)
    for _ in range(100):
        mailbox.tell(EventBatch(chats(1)))
    cast.settle()
    assert len(traced(log_lines)) == TRACE_BURST_LINES
    cast.clock.advance(1)
    mailbox.tell(EventBatch(chats(1)))
    cast.settle()
    assert traced(log_lines)[-1]["suppressed"] == 100 - TRACE_BURST_LINES
    cast.clock.advance(60)
    cast.sessions.end_traces()
    (end,) = traced(log_lines, "trace_ended")
    assert (end["messages"], end["suppressed"]) == (101, 100 - TRACE_BURST_LINES)


def test_a_trace_lasts_through_a_failure_a_quarantine_and_a_passivation(
    cast: Cast, log_lines: list[EventDict]
) -> None:
    mailbox = cast.enter("s")
    cast.introspected("s", trace_s=600)
    for _ in range(4):
        cast.play(mailbox, [poison()], TICK_MS)
    cast.clock.advance(300)
    cast.sessions.release_quarantined()
    cast.play(mailbox, chats(1), TICK_MS)
    mailbox.tell(Passivate())
    cast.settle()
    cast.play(cast.enter("s"), chats(1), TICK_MS)
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
    cast = Cast(dispatcher, Scoring(chat_max_per_min=0))
    mailbox = cast.enter("s")
    cast.introspected("s", trace_s=60)
    cast.play(mailbox, chats(1), TICK_MS)
    assert outcomes(log_lines) == [("EventBatch", False), ("Tick", True)]


def test_only_a_traced_session_has_an_observer_and_only_until_its_trace_ends(cast: Cast) -> None:
    mailbox, other = cast.enter("s"), cast.enter("other")
    assert mailbox.observer is None
    cast.introspected("s", trace_s=60)
    mailbox.tell(Passivate())
    cast.settle()
    successor = cast.enter("s")
    assert mailbox.observer is not None
    assert successor.observer is not None
    assert other.observer is None
    cast.clock.advance(60)
    cast.sessions.end_traces()
    assert mailbox.observer is None
    assert successor.observer is None
