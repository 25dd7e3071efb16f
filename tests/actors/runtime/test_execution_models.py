"""What our actors promise beside what Pykka does: it holds on a thread and on the pool alike."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import pytest

from conductor_actors.actors.runtime.base import ChildFailed, ChildStopped
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from tests.actors.scripted_actors import AnyMailbox, PooledModel, Ref, Script, SystemModel
from tests.support.fakes.recording_mailbox import RecordingMailbox

MAX_WAIT_S = 5.0
BAD = "bad"
# For all but the last, Pykka would stop every actor there is.
DEADLY = [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError]

OurModel: TypeAlias = SystemModel | PooledModel


class RecordingHandler:
    """A handler that notes each message, and raises at the bad one."""

    def __init__(self, error: type[BaseException] = ValueError) -> None:
        self.handled: list[object] = []
        self._error = error

    def __call__(self, message: object) -> object:
        self.handled.append(message)
        if message == BAD:
            raise self._error(message)
        return message


def raise_on_call(error: type[BaseException]) -> Callable[[], None]:
    def fail() -> None:
        raise error("unexpected")

    return fail


def count_unhandled(mailbox: AnyMailbox) -> int:
    """Count the mail of an actor that stopped: with a thread it waits, on the pool it's refused."""
    return mailbox.depth() if isinstance(mailbox, ThreadMailbox) else mailbox.refused


def test_mail_from_before_the_start_is_handled_after_it(model: OurModel) -> None:
    handler, mailbox = RecordingHandler(), model.new_mailbox()
    for number in range(3):
        mailbox.tell(number)
    ref = model.start_in(mailbox, Script(on_receive=handler))
    ref.ask("barrier", timeout=MAX_WAIT_S)
    assert handler.handled == [0, 1, 2, "barrier"]


def test_mail_after_a_failure_waits_for_the_successor(model: OurModel) -> None:
    handler, mailbox = RecordingHandler(), model.new_mailbox()
    for message in (0, BAD, 1, 2):
        mailbox.tell(message)
    model.start_in(mailbox, Script(on_receive=handler))
    model.supervisor.take(ChildFailed)
    mailbox.tell(3)
    assert handler.handled == [0, BAD]
    successor = model.start_in(mailbox, Script(on_receive=handler))
    successor.ask("barrier", timeout=MAX_WAIT_S)
    assert handler.handled == [0, BAD, 1, 2, 3, "barrier"]


def test_an_observer_surrounds_the_handling_of_each_message(model: OurModel) -> None:
    handler, mailbox = RecordingHandler(), model.new_mailbox()

    @contextmanager
    def observe(_: object, message: object) -> Iterator[None]:
        handler.handled.append(f"before {message}")
        try:
            yield
        finally:
            handler.handled.append(f"after {message}")

    mailbox.observer = observe
    mailbox.tell(BAD)
    model.start_in(mailbox, Script(on_receive=handler))
    model.supervisor.take(ChildFailed)
    mailbox.observer = None
    model.start_in(mailbox, Script(on_receive=handler)).ask("barrier", timeout=MAX_WAIT_S)
    assert handler.handled == ["before bad", BAD, "after bad", "barrier"]


def test_mail_to_a_dead_actor_raises_nothing_and_stays(model: OurModel) -> None:
    handler, mailbox = RecordingHandler(), model.new_mailbox()
    mailbox.tell(BAD)
    model.start_in(mailbox, Script(on_receive=handler))
    model.supervisor.take(ChildFailed)
    mailbox.tell("told to nobody")
    assert mailbox.depth() == 1
    model.start_in(mailbox, Script(on_receive=handler)).ask("barrier", timeout=MAX_WAIT_S)
    assert handler.handled == [BAD, "told to nobody", "barrier"]


def test_an_ask_after_a_failure_is_answered_by_the_successor(model: OurModel) -> None:
    handler, mailbox, blocked = RecordingHandler(), model.new_mailbox(), threading.Event()
    ref = model.start_in(mailbox, Script(on_receive=handler, on_start=blocked.wait))
    ref.tell(BAD)
    answer = ref.ask("patient", block=False)
    blocked.set()
    model.supervisor.take(ChildFailed)
    model.start_in(mailbox, Script(on_receive=handler))
    assert answer.get(timeout=MAX_WAIT_S) == "patient"


def test_a_stop_that_follows_a_failure_stops_the_successor(model: OurModel) -> None:
    mailbox, blocked = model.new_mailbox(), threading.Event()
    ref = model.start_in(mailbox, Script(on_receive=RecordingHandler(), on_start=blocked.wait))
    ref.tell(BAD)
    stop = ref.stop(block=False)
    blocked.set()
    model.supervisor.take(ChildFailed)
    model.start_in(mailbox, Script())
    model.supervisor.take(ChildStopped)
    assert stop.get(timeout=MAX_WAIT_S)


def test_a_failure_is_reported_with_its_message_its_error_and_a_handover(model: OurModel) -> None:
    mailbox = model.new_mailbox()
    ref = model.start_in(
        mailbox, Script(on_receive=RecordingHandler(), handover=lambda: "what I had")
    )
    ref.tell("good")
    ref.tell(BAD)
    failure = model.supervisor.take(ChildFailed)
    assert (failure.name, failure.mailbox, failure.message) == ("probe", mailbox, BAD)
    assert repr(failure.error) == "ValueError('bad')"
    assert failure.handover == "what I had"
    assert not ref.is_alive()


def test_a_stop_is_reported_once_all_mail_is_handled(model: OurModel) -> None:
    mailbox = model.new_mailbox()
    ref = model.start_in(mailbox, Script())
    ref.tell("last words")
    ref.stop(block=False)
    assert model.supervisor.take(ChildStopped) == ChildStopped("probe", mailbox)
    assert len(model.supervisor.messages) == 1
    assert mailbox.depth() == 0


@pytest.mark.parametrize("error", [ValueError, *DEADLY])
def test_a_failing_on_start_is_reported_and_leaves_the_mail(
    model: OurModel, error: type[BaseException]
) -> None:
    mailbox, handler = model.new_mailbox(), RecordingHandler()
    mailbox.tell("early")
    model.start_in(mailbox, Script(on_receive=handler, on_start=raise_on_call(error)))
    failure = model.supervisor.take(ChildFailed)
    assert isinstance(failure.error, error)
    assert failure.message is None
    model.start_in(mailbox, Script(on_receive=handler)).ask("barrier", timeout=MAX_WAIT_S)
    assert handler.handled == ["early", "barrier"]


@pytest.mark.parametrize("error", [ValueError, *DEADLY])
def test_a_failing_on_stop_is_reported_as_a_failure(
    model: OurModel, error: type[BaseException]
) -> None:
    ref = model.start(Script(on_stop=raise_on_call(error)))
    ref.stop(timeout=MAX_WAIT_S)
    assert isinstance(model.supervisor.take(ChildFailed).error, error)
    assert len(model.supervisor.messages) == 1


@pytest.mark.parametrize("error", DEADLY)
def test_an_error_that_would_stop_every_actor_fails_only_one(
    model: OurModel, error: type[BaseException]
) -> None:
    neighbour = model.start(Script())
    model.start(Script(on_receive=RecordingHandler(error))).tell(BAD)
    failure = model.supervisor.take(ChildFailed)
    assert error.__name__ in repr(failure.error)
    assert neighbour.ask("still there?", timeout=MAX_WAIT_S) == "still there?"


@pytest.mark.parametrize("error", DEADLY)
def test_an_error_that_would_stop_every_actor_is_raised_by_ask(
    model: OurModel, error: type[BaseException]
) -> None:
    ref = model.start(Script(on_receive=RecordingHandler(error)))
    with pytest.raises(Exception, match=error.__name__ if error is not MemoryError else BAD):
        ref.ask(BAD, timeout=MAX_WAIT_S)
    assert ref.ask("still there?", timeout=MAX_WAIT_S) == "still there?"


def test_mail_after_a_stop_is_counted(model: OurModel) -> None:
    mailbox, blocked = model.new_mailbox(), threading.Event()
    ref = model.start_in(mailbox, Script(on_start=blocked.wait))
    ref.stop(block=False)
    mailbox.tell("too late")
    blocked.set()
    model.supervisor.take(ChildStopped)
    mailbox.tell("much too late")
    assert count_unhandled(mailbox) == 2


def test_a_successor_can_start_before_the_turn_of_the_dead_actor_has_ended(model: OurModel) -> None:
    class RestartingMailbox(RecordingMailbox):
        def tell(self, message: object) -> None:
            if isinstance(message, ChildFailed):
                successors.append(model.start_in(mailbox, Script(on_receive=handler)))
            super().tell(message)

    model.supervisor = RestartingMailbox()
    mailbox, handler, successors = model.new_mailbox(), RecordingHandler(), list[Ref]()
    for message in (BAD, 1, 2):
        mailbox.tell(message)
    model.start_in(mailbox, Script(on_receive=handler))
    model.supervisor.take(ChildFailed)
    successors[0].ask("barrier", timeout=MAX_WAIT_S)
    assert handler.handled == [BAD, 1, 2, "barrier"]


def test_many_successors_neither_lose_nor_repeat_mail(model: OurModel) -> None:
    mailbox, handler = model.new_mailbox(), RecordingHandler()
    mail = [BAD if number % 7 == 3 else number for number in range(300)]
    teller = threading.Thread(target=lambda: [mailbox.tell(message) for message in mail])
    ref = model.start_in(mailbox, Script(on_receive=handler))
    teller.start()
    for _ in range(mail.count(BAD)):
        model.supervisor.take(ChildFailed)
        ref = model.start_in(mailbox, Script(on_receive=handler))
    teller.join()
    ref.ask("barrier", timeout=MAX_WAIT_S)
    assert handler.handled == [*mail, "barrier"]
