"""A thread runs the turns that it has taken, and those that it has not begun can be taken away."""

import threading
from functools import partial

from conductor_actors.actors.runtime.awake_clock import AwakeClock
from conductor_actors.actors.runtime.dispatcher import HUNG_AFTER_S, Dispatcher
from conductor_actors.actors.runtime.mailbox import MAX_TURN_S, Envelope, PooledMailbox
from conductor_actors.actors.runtime.turn_runner import TurnRunner
from tests.actors.pooled_handlers import (
    MAX_WAIT_S,
    BlockedThread,
    PlainTurnTaker,
    attach_handler,
)
from tests.support.fakes.fake_clock import FakeClock
from tests.support.waiting import wait_until

IDLE = Dispatcher(0)


def mailboxes(count: int) -> list[PooledMailbox]:
    return [PooledMailbox(str(number), IDLE) for number in reversed(range(count))]


def names(turns: list[PooledMailbox]) -> list[str]:
    return [mailbox.name for mailbox in turns]


def test_turns_are_run_in_order() -> None:
    runner = TurnRunner(FakeClock())
    runner.begin(mailboxes(3))
    runner.run(AwakeClock())
    assert names(runner.finished) == ["0", "1", "2"]


def test_turns_that_have_not_begun_after_5_ms_are_left() -> None:
    clock, runner, turns = FakeClock(), None, mailboxes(4)
    for mailbox in turns:
        mailbox.actor = PlainTurnTaker(partial(clock.advance, MAX_TURN_S / 2 + 1e-6))
    runner = TurnRunner(clock)
    runner.begin(turns)
    runner.run(AwakeClock(clock))
    assert names(runner.finished) == ["0", "1"]
    assert names(runner.take()) == ["3", "2"]


def test_the_last_turns_are_taken_away_first() -> None:
    runner = TurnRunner(FakeClock())
    runner.begin(mailboxes(5))
    assert runner.count_rest() == 5
    assert names(runner.take(2)) == ["4", "3"]
    runner.run(AwakeClock())
    assert names(runner.finished) == ["0", "1", "2"]


def test_the_running_turn_is_seen_from_outside() -> None:
    clock, seen = FakeClock(), []
    runner, turns = TurnRunner(clock), mailboxes(2)
    for mailbox in turns:
        mailbox.actor = PlainTurnTaker(lambda: seen.append(runner.running()))
    runner.begin([*turns])
    runner.run(AwakeClock(clock))
    assert [turn and turn.mailbox for turn in seen] == [*reversed(turns)]
    assert runner.running() is None


def test_a_turn_goes_to_its_thread_or_to_the_one_that_takes_it() -> None:
    runner, turns, taken = TurnRunner(FakeClock()), mailboxes(20_000), list[PooledMailbox]()
    runner.begin([*turns])
    thread = threading.Thread(target=runner.run, args=(AwakeClock(),))
    thread.start()
    while runner.count_rest():
        taken += runner.take(3)
    thread.join()
    assert sorted(names(taken + runner.finished)) == sorted(names(turns))


def test_turns_behind_a_blocked_handler_go_to_an_idle_thread() -> None:
    dispatcher, handled = Dispatcher(2), list[object]()
    blocked = [BlockedThread(dispatcher), BlockedThread(dispatcher, "second")]
    waiting = BlockedThread(dispatcher, "third", waits=True)
    others = [PooledMailbox(str(number), dispatcher) for number in range(10)]
    for mailbox in others:
        attach_handler(dispatcher, mailbox, handled.append)
    dispatcher.deliver((mailbox, Envelope("news")) for mailbox in others)
    blocked[0].release()  # its thread takes the third and all others, and is blocked again
    waiting.wait()
    blocked[1].release()
    wait_until(lambda: len(handled) == len(others))
    waiting.release()
    assert dispatcher.wait_idle(MAX_WAIT_S)
    dispatcher.close()


def test_turns_behind_a_hung_handler_go_to_other_threads() -> None:
    clock = FakeClock()
    awake_clock = AwakeClock(clock)
    dispatcher, handled = Dispatcher(1, clock, awake_clock), list[object]()
    first = BlockedThread(dispatcher)
    hung = BlockedThread(dispatcher, "hung", waits=True)
    others = [PooledMailbox(str(number), dispatcher) for number in range(10)]
    for mailbox in others:
        attach_handler(dispatcher, mailbox, handled.append)
        mailbox.tell(mailbox.name)
    first.release()
    hung.wait()
    for _ in range(round(HUNG_AFTER_S)):
        clock.advance(1.0)
        awake_clock.advance()
    dispatcher.abandon_hung()
    wait_until(lambda: len(handled) == len(others))
    assert handled == [mailbox.name for mailbox in others]
    assert dispatcher.handled == 2 + len(others)
    hung.release()
    dispatcher.close()
