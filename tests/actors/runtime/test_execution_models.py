"""What our actors promise beside what Pykka does: it holds on a thread and on the pool alike."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import pytest

from conductor_actors.actors.runtime.base import ChildFailed, ChildStopped
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from tests.actors.probes import AnyMailbox, PooledModel, Ref, Script, SystemModel
from tests.support.fakes.recording_mailbox import RecordingMailbox

PATIENCE_S = 5.0
BAD = "bad"
# For all but the last, Pykka would stop every actor there is.
DEADLY = [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError]

OurModel: TypeAlias = SystemModel | PooledModel


class Diary:
    """A handler that notes each message, and raises at the bad one."""

    def __init__(self, error: type[BaseException] = ValueError) -> None:
        self.handled: list[object] = []
        self._error = error

    def __call__(self, message: object) -> object:
        self.handled.append(message)
        if message == BAD:
            raise self._error(message)
        return message


def raising(error: type[BaseException]) -> Callable[[], None]:
    def fail() -> None:
        raise error("unexpected")

    return fail


def left_behind(mailbox: AnyMailbox) -> int:
    """Count the mail of an actor that stopped: with a thread it waits, on the pool it's refused."""
    return mailbox.depth() if isinstance(mailbox, ThreadMailbox) else mailbox.refused


def test_mail_that_came_before_the_start_is_handled_after_it(model: OurModel) -> None:
    diary, mailbox = Diary(), model.new_mailbox()
    for number in range(3):
        mailbox.tell(number)
    ref = model.start_in(mailbox, Script(on_receive=diary))
    ref.ask("barrier", timeout=PATIENCE_S)
    assert diary.handled == [0, 1, 2, "barrier"]


def test_mail_behind_a_failure_waits_for_the_successor(model: OurModel) -> None:
    diary, mailbox = Diary(), model.new_mailbox()
    for message in (0, BAD, 1, 2):
        mailbox.tell(message)
    model.start_in(mailbox, Script(on_receive=diary))
    model.supervisor.take(ChildFailed)
    mailbox.tell(3)
    assert diary.handled == [0, BAD]
    successor = model.start_in(mailbox, Script(on_receive=diary))
    successor.ask("barrier", timeout=PATIENCE_S)
    assert diary.handled == [0, BAD, 1, 2, 3, "barrier"]


def test_an_observer_surrounds_the_handling_of_each_message(model: OurModel) -> None:
    diary, mailbox = Diary(), model.new_mailbox()

    @contextmanager
    def observe(_: object, message: object) -> Iterator[None]:
        diary.handled.append(f"before {message}")
        try:
            yield
        finally:
            diary.handled.append(f"after {message}")

    mailbox.observer = observe
    mailbox.tell(BAD)
    model.start_in(mailbox, Script(on_receive=diary))
    model.supervisor.take(ChildFailed)
    mailbox.observer = None
    model.start_in(mailbox, Script(on_receive=diary)).ask("barrier", timeout=PATIENCE_S)
    assert diary.handled == ["before bad", BAD, "after bad", "barrier"]


def test_mail_told_while_the_actor_is_dead_raises_nothing_and_stays(model: OurModel) -> None:
    diary, mailbox = Diary(), model.new_mailbox()
    mailbox.tell(BAD)
    model.start_in(mailbox, Script(on_receive=diary))
    model.supervisor.take(ChildFailed)
    mailbox.tell("told to nobody")
    assert mailbox.depth() == 1
    model.start_in(mailbox, Script(on_receive=diary)).ask("barrier", timeout=PATIENCE_S)
    assert diary.handled == [BAD, "told to nobody", "barrier"]


def test_who_asks_behind_a_failure_is_answered_by_the_successor(model: OurModel) -> None:
    diary, mailbox, held = Diary(), model.new_mailbox(), threading.Event()
    ref = model.start_in(mailbox, Script(on_receive=diary, on_start=held.wait))
    ref.tell(BAD)
    answer = ref.ask("patient", block=False)
    held.set()
    model.supervisor.take(ChildFailed)
    model.start_in(mailbox, Script(on_receive=diary))
    assert answer.get(timeout=PATIENCE_S) == "patient"


def test_a_stop_asked_for_before_a_failure_stops_the_successor(model: OurModel) -> None:
    mailbox, held = model.new_mailbox(), threading.Event()
    ref = model.start_in(mailbox, Script(on_receive=Diary(), on_start=held.wait))
    ref.tell(BAD)
    stop = ref.stop(block=False)
    held.set()
    model.supervisor.take(ChildFailed)
    model.start_in(mailbox, Script())
    model.supervisor.take(ChildStopped)
    assert stop.get(timeout=PATIENCE_S)


def test_a_failure_is_told_with_its_message_its_error_and_a_legacy(model: OurModel) -> None:
    mailbox = model.new_mailbox()
    ref = model.start_in(mailbox, Script(on_receive=Diary(), handover=lambda: "what I had"))
    ref.tell("good")
    ref.tell(BAD)
    failure = model.supervisor.take(ChildFailed)
    assert (failure.name, failure.mailbox, failure.message) == ("probe", mailbox, BAD)
    assert repr(failure.error) == "ValueError('bad')"
    assert failure.handover == "what I had"
    assert not ref.is_alive()


def test_a_stop_is_told_once_everything_is_handled(model: OurModel) -> None:
    mailbox = model.new_mailbox()
    ref = model.start_in(mailbox, Script())
    ref.tell("last words")
    ref.stop(block=False)
    assert model.supervisor.take(ChildStopped) == ChildStopped("probe", mailbox)
    assert len(model.supervisor.messages) == 1
    assert mailbox.depth() == 0


@pytest.mark.parametrize("error", [ValueError, *DEADLY])
def test_a_failing_on_start_is_told_and_leaves_the_mail(
    model: OurModel, error: type[BaseException]
) -> None:
    mailbox, diary = model.new_mailbox(), Diary()
    mailbox.tell("early")
    model.start_in(mailbox, Script(on_receive=diary, on_start=raising(error)))
    failure = model.supervisor.take(ChildFailed)
    assert isinstance(failure.error, error)
    assert failure.message is None
    model.start_in(mailbox, Script(on_receive=diary)).ask("barrier", timeout=PATIENCE_S)
    assert diary.handled == ["early", "barrier"]


@pytest.mark.parametrize("error", [ValueError, *DEADLY])
def test_a_failing_on_stop_is_told_as_a_failure(
    model: OurModel, error: type[BaseException]
) -> None:
    ref = model.start(Script(on_stop=raising(error)))
    ref.stop(timeout=PATIENCE_S)
    assert isinstance(model.supervisor.take(ChildFailed).error, error)
    assert len(model.supervisor.messages) == 1


@pytest.mark.parametrize("error", DEADLY)
def test_what_would_stop_every_actor_fails_one_alone(
    model: OurModel, error: type[BaseException]
) -> None:
    neighbour = model.start(Script())
    model.start(Script(on_receive=Diary(error))).tell(BAD)
    failure = model.supervisor.take(ChildFailed)
    assert error.__name__ in repr(failure.error)
    assert neighbour.ask("still there?", timeout=PATIENCE_S) == "still there?"


@pytest.mark.parametrize("error", DEADLY)
def test_what_would_stop_every_actor_goes_to_who_asked(
    model: OurModel, error: type[BaseException]
) -> None:
    ref = model.start(Script(on_receive=Diary(error)))
    with pytest.raises(Exception, match=error.__name__ if error is not MemoryError else BAD):
        ref.ask(BAD, timeout=PATIENCE_S)
    assert ref.ask("still there?", timeout=PATIENCE_S) == "still there?"


def test_mail_left_behind_a_stop_is_counted(model: OurModel) -> None:
    mailbox, held = model.new_mailbox(), threading.Event()
    ref = model.start_in(mailbox, Script(on_start=held.wait))
    ref.stop(block=False)
    mailbox.tell("too late")
    held.set()
    model.supervisor.take(ChildStopped)
    mailbox.tell("much too late")
    assert left_behind(mailbox) == 2


def test_a_successor_may_come_before_the_dead_actors_turn_has_ended(model: OurModel) -> None:
    class Prompt(RecordingMailbox):
        def tell(self, message: object) -> None:
            if isinstance(message, ChildFailed):
                successors.append(model.start_in(mailbox, Script(on_receive=diary)))
            super().tell(message)

    model.supervisor = Prompt()
    mailbox, diary, successors = model.new_mailbox(), Diary(), list[Ref]()
    for message in (BAD, 1, 2):
        mailbox.tell(message)
    model.start_in(mailbox, Script(on_receive=diary))
    model.supervisor.take(ChildFailed)
    successors[0].ask("barrier", timeout=PATIENCE_S)
    assert diary.handled == [BAD, 1, 2, "barrier"]


def test_successors_take_turns_without_losing_or_repeating_mail(model: OurModel) -> None:
    mailbox, diary = model.new_mailbox(), Diary()
    mail = [BAD if number % 7 == 3 else number for number in range(300)]
    teller = threading.Thread(target=lambda: [mailbox.tell(message) for message in mail])
    ref = model.start_in(mailbox, Script(on_receive=diary))
    teller.start()
    for _ in range(mail.count(BAD)):
        model.supervisor.take(ChildFailed)
        ref = model.start_in(mailbox, Script(on_receive=diary))
    teller.join()
    ref.ask("barrier", timeout=PATIENCE_S)
    assert diary.handled == [*mail, "barrier"]
