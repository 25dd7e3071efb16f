"""Who passes questions on: no outage and no misconfiguration ends it, nothing is kept."""

from collections.abc import Iterator

import pytest
from structlog.typing import EventDict

from conductor_actors.actors.introspection import IntrospectionActor, ServiceFacts
from conductor_actors.actors.messages import Answered, ChildStopped, Inquiry
from conductor_actors.actors.runtime.base import ActorContext
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.domain.introspection_protocol import Answer, Request
from conductor_actors.errors import ConfigError, Unavailable
from tests.actors.probes import Ref
from tests.actors.turns import PATIENCE_S
from tests.support.fakes.memory_requests import MemoryRequests
from tests.support.fakes.recording_mailbox import RecordingMailbox

REQUEST = Request("1", "acme", "keynote")


class Hall:
    """The actor, a desk, and the test in the Supervisor's place."""

    def __init__(self) -> None:
        self.desk = MemoryRequests()
        self.supervisor = RecordingMailbox()
        self.mailbox = ThreadMailbox()

    def start(self) -> Ref:
        context = ActorContext("introspection", self.mailbox, self.supervisor)
        facts = ServiceFacts(lambda: 5000, "stream")
        return IntrospectionActor.start(context, self.desk, self.supervisor, facts)

    def ask(self) -> Inquiry:
        """Ask until somebody listens; return what the Supervisor was told."""
        while not self.desk.ask(REQUEST):
            pass
        return self.supervisor.take(Inquiry)


@pytest.fixture
def hall() -> Iterator[Hall]:
    hall = Hall()
    ref = hall.start()
    yield hall
    hall.desk.outage = None
    ref.stop(timeout=PATIENCE_S)


def test_what_is_asked_goes_to_the_supervisor_and_the_answer_to_who_asked(hall: Hall) -> None:
    inquiry = hall.ask()
    assert inquiry.request == REQUEST
    inquiry.reply_to.tell(Answered(Answer(id="1", is_known=True)))
    assert hall.desk.next_answer(REQUEST) == Answer(
        id="1", is_known=True, next_tick_ms=5000, lines="stream"
    )


@pytest.mark.parametrize("outage", [Unavailable("away"), ConfigError("grant it")])
def test_it_goes_on_after_an_outage(
    hall: Hall, outage: Exception, log_lines: list[EventDict]
) -> None:
    hall.desk.outage = outage
    hall.mailbox.tell(Answered(Answer(id="2")))  # can't be left: lost
    hall.mailbox.wait(0)
    while hall.mailbox.count(Answered):
        pass
    hall.desk.outage = None
    inquiry = hall.ask()
    inquiry.reply_to.tell(Answered(Answer(id="1")))
    assert hall.desk.next_answer(REQUEST) is not None
    said = {line["event"] for line in log_lines}
    assert said <= {"outage_began", "outage_ended"}
    assert isinstance(outage, ConfigError) or not said  # others tell of a Redis that is away


def test_it_stops_when_it_is_told_to(hall: Hall) -> None:
    hall.ask()
    other = Hall()
    other.start().stop(timeout=PATIENCE_S)
    assert other.supervisor.of(ChildStopped)
