"""What waits, what was handled and what was refused is counted exactly, whatever happens."""

import threading
from dataclasses import dataclass, field

import pykka
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.actors.runtime.dispatcher import MAX_TURN_MESSAGES, Dispatcher
from conductor_actors.actors.runtime.mailbox import Envelope, PooledMailbox
from tests.actors.pooled_handlers import MAX_WAIT_S, BlockedThread, HandlerDied, attach_handler
from tests.actors.scripted_actors import PooledModel, Script

MAILBOXES = 3
FATAL = "fatal"


@dataclass
class Expected:
    """One mailbox as it should be."""

    waiting: list[str] = field(default_factory=list)
    handled: list[str] = field(default_factory=list)
    refused: int = 0
    is_closed: bool = False
    has_actor: bool = False

    def tell(self, messages: list[str]) -> None:
        if self.is_closed:
            self.refused += len(messages)
        else:
            self.waiting += messages
            self.settle()

    def settle(self) -> None:
        while self.has_actor and self.waiting:
            message = self.waiting.pop(0)
            self.handled.append(message)
            self.has_actor = message != FATAL

    def close(self) -> int:
        dropped, self.waiting = len(self.waiting), []
        self.is_closed = True
        self.refused += dropped
        return dropped

    def open(self) -> int:
        refused, self.refused = self.refused, 0
        self.is_closed = False
        return refused


class Observed:
    """The same as it is."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.mailbox = PooledMailbox("observed", dispatcher)
        self.handled: list[str] = []

    def handle(self, message: object) -> None:
        self.handled.append(str(message))
        if message == FATAL:
            raise HandlerDied


MESSAGES = st.lists(st.sampled_from(["a", "b", FATAL]), min_size=1, max_size=MAX_TURN_MESSAGES + 6)
STEPS = st.lists(
    st.tuples(
        st.integers(0, MAILBOXES - 1),
        MESSAGES | st.sampled_from(["attach", "close", "open"]),
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_counters_are_exact_after_any_sequence(steps: list[tuple[int, list[str] | str]]) -> None:
    dispatcher = Dispatcher(threads=2)
    observed = [Observed(dispatcher) for _ in range(MAILBOXES)]
    expected = [Expected() for _ in range(MAILBOXES)]
    all_refused = 0
    for index, step in steps:
        before = expected[index].refused
        _do(dispatcher, observed[index], expected[index], step)
        all_refused += max(0, expected[index].refused - before)
        assert dispatcher.wait_idle(MAX_WAIT_S)
        assert [each.handled for each in observed] == [each.handled for each in expected]
        assert dispatcher.waiting == sum(len(each.waiting) for each in expected)
        assert dispatcher.handled == sum(len(each.handled) for each in expected)
        assert [each.mailbox.handled for each in observed] == [
            len(each.handled) for each in expected
        ]
        assert dispatcher.refused == all_refused
        assert [(each.mailbox.depth(), each.mailbox.refused) for each in observed] == [
            (len(each.waiting), each.refused) for each in expected
        ]
    dispatcher.close()


def _do(
    dispatcher: Dispatcher, observed: Observed, expected: Expected, step: list[str] | str
) -> None:
    match step:
        case "attach":
            if not expected.has_actor:
                attach_handler(dispatcher, observed.mailbox, observed.handle)
                expected.has_actor = True
                expected.settle()
        case "close":
            assert dispatcher.close_mailbox(observed.mailbox) == expected.close()
        case "open":
            assert dispatcher.open_mailbox(observed.mailbox) == expected.open()
        case _:
            dispatcher.deliver((observed.mailbox, Envelope(message)) for message in step)
            expected.tell(list(step))


def test_a_mailbox_closed_during_a_turn_refuses_the_rest_of_it(dispatcher: Dispatcher) -> None:
    """The Supervisor may quarantine a session before the turn in which it failed has ended."""
    mailbox = PooledMailbox("quarantined", dispatcher)
    entered, closed = threading.Event(), threading.Event()

    def handle(_: object) -> None:
        entered.set()
        assert closed.wait(MAX_WAIT_S)
        raise HandlerDied

    blocked = BlockedThread(dispatcher)
    attach_handler(dispatcher, mailbox, handle)
    dispatcher.deliver((mailbox, Envelope(number)) for number in range(10))
    blocked.release()
    assert entered.wait(MAX_WAIT_S)
    assert dispatcher.close_mailbox(mailbox) == 0  # the turn has them all
    closed.set()
    assert dispatcher.wait_idle(MAX_WAIT_S)
    assert (dispatcher.waiting, mailbox.depth(), mailbox.refused) == (0, 0, 9)
    assert dispatcher.refused == 9
    assert dispatcher.handled == 2  # the blocked one, and the one that failed


def test_an_ask_to_a_closed_mailbox_raises_that_the_actor_is_dead() -> None:
    pool = PooledModel(threads=1)
    mailbox = pool.new_mailbox()
    assert isinstance(mailbox, PooledMailbox)
    ref = pool.start_in(mailbox, Script())
    blocked = BlockedThread(pool.dispatcher)
    waiting = ref.ask("asked before", block=False)
    pool.dispatcher.close_mailbox(mailbox)
    for future in (waiting, ref.ask("asked after", block=False)):
        with pytest.raises(pykka.ActorDeadError):
            future.get(timeout=MAX_WAIT_S)
    blocked.release()
    pool.dispatcher.close()
