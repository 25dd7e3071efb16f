"""What goes before all mail: asked of a session that has too much to do, it is answered next."""

from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import MAX_TURN_S, Envelope, PooledMailbox
from tests.actors.pooled_handlers import MAX_WAIT_S, BlockedThread, attach_handler
from tests.support.fakes.fake_clock import FakeClock

FULL = 10_000


def test_a_priority_message_is_handled_before_ten_thousand_others(
    dispatcher: Dispatcher,
) -> None:
    mailbox, handled = PooledMailbox("m", dispatcher), list[object]()
    attach_handler(dispatcher, mailbox, handled.append)
    blocked = BlockedThread(dispatcher)
    dispatcher.deliver([(mailbox, Envelope(number)) for number in range(FULL)])
    dispatcher.tell_first(mailbox, "first")
    dispatcher.tell_first(mailbox, "second")
    blocked.release()
    assert dispatcher.wait_idle(MAX_WAIT_S)
    assert handled == ["first", "second", *range(FULL)]
    assert (dispatcher.waiting, mailbox.handled) == (0, FULL + 2)


def test_a_priority_message_is_handled_in_the_next_turn_of_a_slow_actor() -> None:
    clock = FakeClock()
    dispatcher = Dispatcher(threads=1, clock=clock)
    mailbox, handled = PooledMailbox("m", dispatcher), list[object]()

    def handle(message: object) -> None:
        handled.append(message)
        clock.advance(2 * MAX_TURN_S)
        if message == 0:
            dispatcher.tell_first(mailbox, "urgent")

    attach_handler(dispatcher, mailbox, handle)
    blocked = BlockedThread(dispatcher)
    dispatcher.deliver([(mailbox, Envelope(number)) for number in range(FULL)])
    blocked.release()
    assert dispatcher.wait_idle(MAX_WAIT_S)
    dispatcher.close()
    assert handled == [0, "urgent", *range(1, FULL)]


def test_a_priority_message_wakes_an_idle_actor(dispatcher: Dispatcher) -> None:
    mailbox, handled = PooledMailbox("m", dispatcher), list[object]()
    attach_handler(dispatcher, mailbox, handled.append)
    assert dispatcher.wait_idle(MAX_WAIT_S)
    dispatcher.tell_first(mailbox, "urgent")
    assert dispatcher.wait_idle(MAX_WAIT_S)
    assert handled == ["urgent"]


def test_a_priority_message_waits_for_the_actor_to_start(dispatcher: Dispatcher) -> None:
    mailbox, handled = PooledMailbox("m", dispatcher), list[object]()
    dispatcher.tell_first(mailbox, "urgent")
    attach_handler(dispatcher, mailbox, handled.append)
    assert dispatcher.wait_idle(MAX_WAIT_S)
    assert handled == ["urgent"]


def test_a_closed_mailbox_refuses_priority_messages_and_calls_on_refusal(
    dispatcher: Dispatcher,
) -> None:
    mailbox, refused = PooledMailbox("m", dispatcher), list[object]()
    mailbox.on_refusal = lambda _, message: refused.append(message)
    dispatcher.tell_first(mailbox, "before")
    dispatcher.close_mailbox(mailbox)
    dispatcher.tell_first(mailbox, "after")
    assert refused == ["before", "after"]
    assert dispatcher.waiting == 0


def test_mailboxes_without_priority_messages_share_an_empty_tuple(dispatcher: Dispatcher) -> None:
    one, other = PooledMailbox("one", dispatcher), PooledMailbox("other", dispatcher)
    assert one.priority is other.priority
