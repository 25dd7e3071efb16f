"""What goes before all mail: asked of a session that has too much to do, it is answered next."""

from conductor_actors.actors.runtime.dispatcher import MAX_TURN_S, Dispatcher
from conductor_actors.actors.runtime.mailbox import Envelope, PooledMailbox
from tests.actors.turns import PATIENCE_S, Held, attach
from tests.support.fakes.fake_clock import FakeClock

FULL = 10_000


def test_a_message_through_the_control_lane_comes_before_ten_thousand_others(
    dispatcher: Dispatcher,
) -> None:
    mailbox, handled = PooledMailbox("m", dispatcher), list[object]()
    attach(dispatcher, mailbox, handled.append)
    held = Held(dispatcher)
    dispatcher.deliver([(mailbox, Envelope(number)) for number in range(FULL)])
    dispatcher.tell_first(mailbox, "first")
    dispatcher.tell_first(mailbox, "second")
    held.release()
    assert dispatcher.wait_idle(PATIENCE_S)
    assert handled == ["first", "second", *range(FULL)]
    assert (dispatcher.waiting, mailbox.handled) == (0, FULL + 2)


def test_a_slow_handler_is_followed_by_it_in_its_next_turn() -> None:
    clock = FakeClock()
    dispatcher = Dispatcher(threads=1, clock=clock)
    mailbox, handled = PooledMailbox("m", dispatcher), list[object]()

    def handle(message: object) -> None:
        handled.append(message)
        clock.advance(2 * MAX_TURN_S)
        if message == 0:
            dispatcher.tell_first(mailbox, "urgent")

    attach(dispatcher, mailbox, handle)
    held = Held(dispatcher)
    dispatcher.deliver([(mailbox, Envelope(number)) for number in range(FULL)])
    held.release()
    assert dispatcher.wait_idle(PATIENCE_S)
    dispatcher.close()
    assert handled == [0, "urgent", *range(1, FULL)]


def test_it_wakes_an_actor_that_has_nothing_else_to_do(dispatcher: Dispatcher) -> None:
    mailbox, handled = PooledMailbox("m", dispatcher), list[object]()
    attach(dispatcher, mailbox, handled.append)
    assert dispatcher.wait_idle(PATIENCE_S)
    dispatcher.tell_first(mailbox, "urgent")
    assert dispatcher.wait_idle(PATIENCE_S)
    assert handled == ["urgent"]


def test_it_waits_for_the_successor_of_an_actor_that_died(dispatcher: Dispatcher) -> None:
    mailbox, handled = PooledMailbox("m", dispatcher), list[object]()
    dispatcher.tell_first(mailbox, "urgent")
    attach(dispatcher, mailbox, handled.append)
    assert dispatcher.wait_idle(PATIENCE_S)
    assert handled == ["urgent"]


def test_what_nobody_will_handle_is_refused_and_told(dispatcher: Dispatcher) -> None:
    mailbox, refused = PooledMailbox("m", dispatcher), list[object]()
    mailbox.on_refusal = lambda _, message: refused.append(message)
    dispatcher.tell_first(mailbox, "before")
    dispatcher.close_mailbox(mailbox)
    dispatcher.tell_first(mailbox, "after")
    assert refused == ["before", "after"]
    assert dispatcher.waiting == 0


def test_a_mailbox_that_is_asked_nothing_has_nothing_for_it(dispatcher: Dispatcher) -> None:
    one, other = PooledMailbox("one", dispatcher), PooledMailbox("other", dispatcher)
    assert one.priority is other.priority
