"""Requests reach the Supervisor, and sessions are describe whatever they are doing."""

from collections.abc import Iterator

import msgspec
import pytest
from structlog.typing import EventDict

from conductor_actors.actors.introspection import IntrospectionActor, ServiceFacts
from conductor_actors.actors.messages import (
    EventBatch,
    Introspect,
    Passivate,
    SendAnswer,
)
from conductor_actors.actors.runtime.base import ActorContext, ChildStopped
from conductor_actors.actors.runtime.mailbox import Envelope, ThreadMailbox
from conductor_actors.domain.introspection_protocol import (
    IntrospectionAnswer,
    IntrospectionRequest,
    SessionDescription,
)
from conductor_actors.errors import ConfigError, Unavailable
from tests.actors.pooled_handlers import MAX_WAIT_S, BlockedThread
from tests.actors.scripted_actors import Ref
from tests.actors.session_events import chat, chats, join, poison
from tests.actors.session_harness import SessionHarness
from tests.support.fakes.memory_introspection_channel import MemoryIntrospectionChannel
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import AT_MS

REQUEST = IntrospectionRequest("1", "acme", "keynote")
UNKNOWN = IntrospectionAnswer(id="1")
TICK_MS = AT_MS + 5000
MANY = 10_000


class ActorUnderTest:
    """The actor and its channel; the test stands in for the Supervisor."""

    def __init__(self) -> None:
        self.channel = MemoryIntrospectionChannel()
        self.supervisor = RecordingMailbox()
        self.mailbox = ThreadMailbox()

    def start(self) -> Ref:
        context = ActorContext("introspection", self.mailbox, self.supervisor)
        facts = ServiceFacts(lambda: 5000, "stream")
        return IntrospectionActor.start(context, self.channel, self.supervisor, facts)

    def receive_request(self) -> Introspect:
        """Send the request once the actor reads; return what the Supervisor gets."""
        while not self.channel.client.send(REQUEST):
            pass
        return self.supervisor.take(Introspect)


@pytest.fixture
def actor() -> Iterator[ActorUnderTest]:
    actor = ActorUnderTest()
    ref = actor.start()
    yield actor
    actor.channel.outage = None
    ref.stop(timeout=MAX_WAIT_S)


def test_a_request_goes_to_the_supervisor_and_the_answer_to_the_requester(
    actor: ActorUnderTest,
) -> None:
    introspect = actor.receive_request()
    assert introspect.request == REQUEST
    introspect.reply_to.tell(SendAnswer(IntrospectionAnswer(id="1", is_known=True)))
    assert actor.channel.client.next_answer(REQUEST) == IntrospectionAnswer(
        id="1", is_known=True, next_tick_ms=5000, trace_output="stream"
    )


@pytest.mark.parametrize("outage", [Unavailable("away"), ConfigError("grant it")])
def test_the_actor_continues_after_an_outage(
    actor: ActorUnderTest, outage: Exception, log_lines: list[EventDict]
) -> None:
    actor.channel.outage = outage
    actor.mailbox.tell(SendAnswer(IntrospectionAnswer(id="2")))  # can't be sent: lost
    actor.mailbox.wait(0)
    while actor.mailbox.count(SendAnswer):
        pass
    actor.channel.outage = None
    introspect = actor.receive_request()
    introspect.reply_to.tell(SendAnswer(UNKNOWN))
    assert actor.channel.client.next_answer(REQUEST) is not None
    events = {line["event"] for line in log_lines}
    assert events <= {"outage_began", "outage_ended"}
    assert isinstance(outage, ConfigError) or not events  # other actors report an outage of Redis


def test_the_actor_stops_when_it_is_asked_to(actor: ActorUnderTest) -> None:
    actor.receive_request()
    other = ActorUnderTest()
    other.start().stop(timeout=MAX_WAIT_S)
    assert other.supervisor.of(ChildStopped)


def describe(sessions: SessionHarness) -> SessionDescription:
    description = sessions.introspect("s").description
    assert description is not None
    return description


def test_a_description_counts_users_and_has_the_score_of_the_last_tick(
    sessions: SessionHarness,
) -> None:
    mailbox = sessions.start("s")
    (row,) = sessions.send_and_tick(mailbox, [join(7), *chats(2), chat(0, AT_MS + 1)], TICK_MS)
    found = describe(sessions)
    figures, score = found.figures, found.figures.score
    assert (found.tenant, found.session, found.state) == ("default", "s", "running")
    assert (figures.active, figures.connected, figures.leavers) == (3, 1, 0)
    assert figures.message_ids == 2
    assert (figures.chats.total, sum(figures.chats.per_s)) == (2, 2)
    assert (figures.last_event_ms, figures.last_tick_ms) == (AT_MS, TICK_MS)
    assert figures.poll is None
    assert score is not None
    assert (score.at_ms, score.is_tick, score.score) == (TICK_MS, True, row.score)
    assert (score.signals, score.contributions) == (row.signals, row.contributions)
    assert "user-" not in msgspec.json.encode(found).decode()
    assert "message-" not in msgspec.json.encode(found).decode()


def test_a_description_changes_no_row(sessions: SessionHarness) -> None:
    left_alone, described_often = sessions.start("quiet"), sessions.start("s")
    for number in range(20):
        at_ms = TICK_MS + number * 5000
        rows = [
            sessions.send_and_tick(mailbox, [chat(number, at_ms - 1)], at_ms)[0]
            for mailbox in (left_alone, described_often)
        ]
        describe(sessions)
        assert rows[0].signals == rows[1].signals


def test_a_session_is_described_before_ten_thousand_waiting_messages(
    sessions: SessionHarness,
) -> None:
    mailbox = sessions.start("s")
    sessions.send_and_tick(mailbox, chats(1), TICK_MS)
    blocked = BlockedThread(sessions.dispatcher)
    batches = [(mailbox, Envelope(EventBatch([chat(n)]))) for n in range(1, MANY + 1)]
    sessions.dispatcher.deliver(batches)
    requester = sessions.request_introspection("s")
    blocked.release()
    description = requester.take(SendAnswer).answer.description
    sessions.settle()
    assert description is not None
    assert (description.mailbox.depth, description.mailbox.handled) == (MANY, 3)
    assert description.figures.active == 1


def test_events_after_the_last_tick_count_in_a_score_so_far(sessions: SessionHarness) -> None:
    mailbox = sessions.start("s")
    sessions.send_and_tick(mailbox, chats(1), TICK_MS)
    mailbox.tell(EventBatch([chat(1, TICK_MS + 1500)]))
    sessions.settle()
    score = describe(sessions).figures.score
    assert score is not None
    assert (score.at_ms, score.is_tick) == (TICK_MS + 2000, False)
    assert score.signals.chat_msgs_per_min == 2


def test_a_session_that_has_not_begun_has_no_score(sessions: SessionHarness) -> None:
    sessions.start("s")
    assert describe(sessions).figures.score is None


def test_a_session_that_never_was_or_has_stopped_is_unknown(sessions: SessionHarness) -> None:
    sessions.start("stopped").tell(Passivate())
    sessions.settle()
    for session in ("never", "stopped"):
        assert sessions.introspect(session) == UNKNOWN
        assert sessions.introspect(session, trace_s=60) == UNKNOWN


def test_a_request_during_the_stop_of_a_session_is_answered(sessions: SessionHarness) -> None:
    mailbox = sessions.start("s")
    sessions.settle()
    blocked = BlockedThread(sessions.dispatcher)
    mailbox.retire()
    requester = sessions.request_introspection("s")
    blocked.release()
    assert requester.take(SendAnswer).answer == UNKNOWN


def test_of_two_sessions_with_one_name_the_newer_is_described(sessions: SessionHarness) -> None:
    sessions.start("s")
    newer = sessions.start("s")
    sessions.send_and_tick(newer, chats(3), TICK_MS)
    assert describe(sessions).figures.chats.total == 3


def test_a_description_lists_failures_with_their_causes_and_counts_restarts(
    sessions: SessionHarness,
) -> None:
    mailbox = sessions.start("s")
    sessions.send_and_tick(mailbox, [poison()], TICK_MS)
    sessions.clock.advance(7)
    supervision = describe(sessions).supervision
    assert supervision.restarts == 1
    (failure,) = supervision.failures
    assert failure.ago_s == 7
    assert "Poisoned" in failure.error


def test_a_session_in_quarantine_is_described_by_the_supervisor(sessions: SessionHarness) -> None:
    mailbox = sessions.start("s")
    for _ in range(4):
        sessions.send_and_tick(mailbox, [chat(), poison()], TICK_MS)
    sessions.clock.advance(100)
    found = describe(sessions)
    assert (found.state, found.supervision.quarantine_left_s) == ("quarantined", 200)
    assert (found.supervision.restarts, len(found.supervision.failures)) == (3, 4)
    assert found.figures.chats.total == 1
    refused = mailbox.refused
    sessions.clock.advance(200)
    sessions.supervisor.release_quarantined()
    assert describe(sessions).state == "running"
    assert found.mailbox.refused == refused


def test_a_request_just_before_a_quarantine_is_answered_by_the_supervisor(
    sessions: SessionHarness,
) -> None:
    mailbox = sessions.start("s")
    for _ in range(3):
        sessions.send_and_tick(mailbox, [poison()], TICK_MS)
    mailbox.tell(EventBatch([poison()]))
    assert sessions.dispatcher.wait_idle(5)  # it is dead, and the Supervisor does not know yet
    assert sessions.introspect("s").description is not None
    assert sessions.supervisor.quarantined == 1
