"""What is answered about a session, whatever it is at, and what a trace tells."""

import msgspec
import pytest
from structlog.typing import EventDict

from conductor_actors.actors.messages import (
    Answered,
    EventBatch,
    Inquiry,
    Latch,
    Passivate,
    Tick,
)
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import Envelope, PooledMailbox
from conductor_actors.actors.tracing import BURST
from conductor_actors.domain.introspection_protocol import Answer, Description, Request
from conductor_actors.domain.scoring import Scoring
from tests.actors.cast import Cast
from tests.actors.session_events import chat, chats, joined, poison
from tests.actors.turns import Held
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import AT_MS

TICK_MS = AT_MS + 5000
FULL = 10_000


@pytest.fixture
def cast(dispatcher: Dispatcher) -> Cast:
    return Cast(dispatcher)


def asked(cast: Cast, trace_s: float | None = None, session: str = "s") -> RecordingMailbox:
    """Ask, and return where the answer comes."""
    desk = RecordingMailbox()
    cast.sessions.inquire(Inquiry(Request("1", "default", session, trace_s), desk))
    return desk


def answer(cast: Cast, trace_s: float | None = None, session: str = "s") -> Answer:
    desk = asked(cast, trace_s, session)
    cast.settle()
    (told,) = desk.of(Answered)
    return told.answer


def described(cast: Cast) -> Description:
    description = answer(cast).description
    assert description is not None
    return description


def tick(at_ms: int = TICK_MS) -> Tick:
    return Tick(at_ms, is_live=False, sessions=Latch(1, 0.0, 0.0))


def traced(lines: list[EventDict], event: str = "message_traced") -> list[EventDict]:
    return [line for line in lines if line["event"] == event]


def test_a_session_is_described_with_its_users_counted_and_its_score(cast: Cast) -> None:
    mailbox = cast.enter("s")
    (row,) = cast.play(mailbox, [joined(7), *chats(2), chat(0, AT_MS + 1)], TICK_MS)
    found = described(cast)
    known, score = found.known, found.known.score
    assert (found.tenant, found.session, found.state) == ("default", "s", "running")
    assert (known.active, known.connected, known.leavers, known.message_ids) == (3, 1, 0, 2)
    assert (known.chats.total, sum(known.chats.per_s)) == (2, 2)
    assert (known.last_event_ms, known.last_tick_ms) == (AT_MS, TICK_MS)
    assert known.poll is None
    assert score is not None
    assert (score.at_ms, score.is_tick, score.score) == (TICK_MS, True, row.score)
    assert (score.signals, score.contributions) == (row.signals, row.contributions)
    assert "user-" not in msgspec.json.encode(found).decode()
    assert "message-" not in msgspec.json.encode(found).decode()


def test_to_be_asked_changes_no_row(cast: Cast) -> None:
    quiet, asked_often = cast.enter("quiet"), cast.enter("s")
    for number in range(20):
        at_ms = TICK_MS + number * 5000
        rows = [
            cast.play(mailbox, [chat(number, at_ms - 1)], at_ms)[0]
            for mailbox in (quiet, asked_often)
        ]
        described(cast)
        assert rows[0].signals == rows[1].signals


def test_a_session_with_ten_thousand_messages_waiting_is_described_at_once(cast: Cast) -> None:
    mailbox = cast.enter("s")
    cast.play(mailbox, chats(1), TICK_MS)
    held = Held(cast.dispatcher)
    batches = [(mailbox, Envelope(EventBatch([chat(n)]))) for n in range(1, FULL + 1)]
    cast.dispatcher.deliver(batches)
    desk = asked(cast)
    held.release()
    description = desk.take(Answered).answer.description
    cast.settle()
    assert description is not None
    assert (description.mailbox.depth, description.mailbox.handled) == (FULL, 3)
    assert description.known.active == 1


def test_events_behind_the_last_tick_make_a_score_so_far(cast: Cast) -> None:
    mailbox = cast.enter("s")
    cast.play(mailbox, chats(1), TICK_MS)
    mailbox.tell(EventBatch([chat(1, TICK_MS + 1500)]))
    cast.settle()
    score = described(cast).known.score
    assert score is not None
    assert (score.at_ms, score.is_tick) == (TICK_MS + 2000, False)
    assert score.signals.chat_msgs_per_min == 2


def test_a_session_that_has_not_begun_has_no_score(cast: Cast) -> None:
    cast.enter("s")
    assert described(cast).known.score is None


def test_nobody_knows_a_session_that_never_was_or_that_has_stopped(cast: Cast) -> None:
    cast.enter("left").tell(Passivate())
    cast.settle()
    for session in ("never", "left"):
        assert answer(cast, session=session) == Answer(id="1")
        assert answer(cast, 60, session) == Answer(id="1")


def test_who_asks_while_a_session_stops_is_answered(cast: Cast) -> None:
    mailbox = cast.enter("s")
    cast.settle()
    held = Held(cast.dispatcher)
    mailbox.retire()
    desk = asked(cast)
    held.release()
    assert desk.take(Answered).answer == Answer(id="1")


def test_of_two_with_one_name_the_newer_is_asked(cast: Cast) -> None:
    cast.enter("s")
    newer = cast.enter("s")
    cast.play(newer, chats(3), TICK_MS)
    assert described(cast).known.chats.total == 3


def test_failures_and_restarts_are_told_with_their_causes(cast: Cast) -> None:
    mailbox = cast.enter("s")
    cast.play(mailbox, [poison()], TICK_MS)
    cast.clock.advance(7)
    upkeep = described(cast).upkeep
    assert upkeep.restarts == 1
    (failure,) = upkeep.failures
    assert failure.ago_s == 7
    assert "Poisoned" in failure.error


def test_one_in_quarantine_is_answered_for(cast: Cast) -> None:
    mailbox = cast.enter("s")
    for _ in range(4):
        cast.play(mailbox, [chat(), poison()], TICK_MS)
    cast.clock.advance(100)
    found = described(cast)
    assert (found.state, found.upkeep.quarantine_left_s) == ("quarantined", 200)
    assert (found.upkeep.restarts, len(found.upkeep.failures)) == (3, 4)
    assert found.known.chats.total == 1
    refused = mailbox.refused
    cast.clock.advance(200)
    cast.sessions.release_quarantined()
    assert described(cast).state == "running"
    assert found.mailbox.refused == refused


def test_who_asked_just_before_a_quarantine_is_answered_from_there(cast: Cast) -> None:
    mailbox = cast.enter("s")
    for _ in range(3):
        cast.play(mailbox, [poison()], TICK_MS)
    mailbox.tell(EventBatch([poison()]))
    assert cast.dispatcher.wait_idle(5)  # it is dead, and the Supervisor has not heard of it
    assert answer(cast).description is not None
    assert cast.sessions.quarantined == 1


def test_a_trace_tells_each_message_with_its_kinds_and_score(
    cast: Cast, log_lines: list[EventDict]
) -> None:
    mailbox = cast.enter("s")
    assert answer(cast, 60) == Answer(id="1", is_known=True, traced_s=60)
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


def test_to_be_traced_changes_no_row(cast: Cast) -> None:
    quiet, loud = cast.enter("quiet"), cast.enter("s")
    answer(cast, 600)
    for number in range(20):
        at_ms = TICK_MS + number * 5000
        rows = [
            cast.play(mailbox, [chat(number, at_ms - 1)], at_ms)[0] for mailbox in (quiet, loud)
        ]
        assert (rows[0].signals, rows[0].score) == (rows[1].signals, rows[1].score)


def test_a_trace_ends_in_time_and_the_actor_is_as_before(
    cast: Cast, log_lines: list[EventDict]
) -> None:
    mailbox = cast.enter("s")
    answer(cast, 60)
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
    assert answer(cast, 60).traced_s == 60  # and can be traced again
    cast.play(mailbox, chats(1), TICK_MS + 10_000)
    assert len(traced(log_lines)) == 4


def test_a_second_trace_extends_the_first_and_a_shorter_one_does_not_cut_it(
    cast: Cast, log_lines: list[EventDict]
) -> None:
    mailbox = cast.enter("s")
    answer(cast, 60)
    cast.clock.advance(30)
    assert answer(cast, 60).traced_s == 60
    assert answer(cast, 10).traced_s == 60
    cast.play(mailbox, chats(1), TICK_MS)
    assert [line["kind"] for line in traced(log_lines)] == ["Trace", "Trace", "EventBatch", "Tick"]


def test_a_trace_is_rate_limited_and_says_what_it_left_out(
    cast: Cast, log_lines: list[EventDict]
) -> None:
    mailbox = cast.enter("s")
    answer(cast, 60)
    for _ in range(100):
        mailbox.tell(EventBatch(chats(1)))
    cast.settle()
    assert len(traced(log_lines)) == BURST
    cast.clock.advance(1)
    mailbox.tell(EventBatch(chats(1)))
    cast.settle()
    assert traced(log_lines)[-1]["suppressed"] == 100 - BURST
    cast.clock.advance(60)
    cast.sessions.end_traces()
    (end,) = traced(log_lines, "trace_ended")
    assert (end["messages"], end["suppressed"]) == (101, 100 - BURST)


def test_a_trace_goes_on_through_a_failure_a_quarantine_and_a_passivation(
    cast: Cast, log_lines: list[EventDict]
) -> None:
    mailbox = cast.enter("s")
    answer(cast, 600)
    for _ in range(4):
        cast.play(mailbox, [poison()], TICK_MS)
    cast.clock.advance(300)
    cast.sessions.release_quarantined()
    cast.play(mailbox, chats(1), TICK_MS)
    mailbox.tell(Passivate())
    cast.settle()
    cast.play(cast.enter("s"), chats(1), TICK_MS)
    told = [(line["kind"], line["has_failed"]) for line in traced(log_lines)]
    assert told == [
        *[("EventBatch", True), ("Tick", False)] * 3,
        ("EventBatch", True),  # and its tick is refused
        *[("EventBatch", False), ("Tick", False)],
        ("Passivate", False),
        *[("EventBatch", False), ("Tick", False)],
    ]


def test_a_tick_that_fails_is_told_as_that(
    dispatcher: Dispatcher, log_lines: list[EventDict]
) -> None:
    cast = Cast(dispatcher, Scoring(chat_max_per_min=0))
    mailbox = cast.enter("s")
    answer(cast, 60)
    cast.play(mailbox, chats(1), TICK_MS)
    assert [(line["kind"], line["has_failed"]) for line in traced(log_lines)] == [
        ("EventBatch", False),
        ("Tick", True),
    ]


def test_nothing_stands_in_the_way_of_an_actor_that_is_not_traced(cast: Cast) -> None:
    mailbox: PooledMailbox = cast.enter("s")
    cast.settle()
    assert mailbox.run is not None
    actor = mailbox.run.__self__  # type: ignore[attr-defined]
    assert "on_receive" not in vars(actor)
    answer(cast, 60)
    assert "on_receive" in vars(actor)
    cast.clock.advance(60)
    cast.sessions.end_traces()
    cast.play(mailbox, chats(1), TICK_MS)
    assert "on_receive" not in vars(actor)
