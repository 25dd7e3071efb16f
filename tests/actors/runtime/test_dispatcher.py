"""Who has a turn when, for how long, and on how many threads."""

import sys
import threading
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import pytest

from conductor_actors.actors.runtime.base import ActorContext
from conductor_actors.actors.runtime.dispatcher import MAX_TURN_MESSAGES, Dispatcher
from conductor_actors.actors.runtime.mailbox import MAX_TURN_S, Envelope, PooledMailbox
from tests.actors.pooled_handlers import MAX_WAIT_S, BlockedThread, HandlerDied, attach_handler
from tests.actors.scripted_actors import PooledProbe, Script
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.recording_mailbox import RecordingMailbox


class JumpingClock:
    """A clock on a machine so busy that every look at it comes a second late."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def __call__(self) -> float:
        self._now_s += 1
        return self._now_s


@pytest.fixture
def _hasty_threads() -> Iterator[None]:
    """Switch threads as often as can be: races show."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before_s)


def flood(dispatcher: Dispatcher, names: dict[str, int], cost_s: float = 0.0) -> list[str]:
    """Fill several mailboxes at once; return whose messages were handled, in order."""
    handled: list[str] = []
    clock = dispatcher.clock

    def handle(name: str, _: object) -> None:
        handled.append(name)
        if isinstance(clock, FakeClock):
            clock.advance(cost_s)

    blocked = BlockedThread(dispatcher)
    for name, messages in names.items():
        mailbox = PooledMailbox(name, dispatcher)
        attach_handler(dispatcher, mailbox, partial(handle, name))
        dispatcher.deliver((mailbox, Envelope(number)) for number in range(messages))
    blocked.release()
    assert dispatcher.wait_idle(MAX_WAIT_S)
    dispatcher.close()
    return handled


def test_a_flooded_actor_goes_to_the_back_after_64_messages() -> None:
    handled = flood(Dispatcher(1, FakeClock()), {"flooded": 200, "quiet": 1, "other": 2})
    assert MAX_TURN_MESSAGES == 64
    assert handled == ["flooded"] * 64 + ["quiet", "other", "other"] + ["flooded"] * 136


def test_a_slow_actor_goes_to_the_back_after_5_ms() -> None:
    handled = flood(Dispatcher(1, FakeClock()), {"slow": 6, "quick": 1}, cost_s=0.002)
    assert MAX_TURN_S == 0.005
    assert handled == ["slow"] * 3 + ["quick"] + ["slow"] * 3


def test_every_turn_handles_at_least_one_message() -> None:
    handled = flood(Dispatcher(1, JumpingClock()), {"first": 3, "second": 3})
    assert handled == ["first", "second"] * 3


def test_messages_left_in_a_turn_stay_first_and_in_order() -> None:
    clock, handled = FakeClock(), []
    dispatcher = Dispatcher(1, clock)
    mailbox = PooledMailbox("slow", dispatcher)

    def handle(message: object) -> None:
        handled.append(message)
        clock.advance(0.006)  # one message a turn
        if len(handled) == 1:
            mailbox.tell("message during the turn")

    blocked = BlockedThread(dispatcher)
    attach_handler(dispatcher, mailbox, handle)
    dispatcher.deliver((mailbox, Envelope(number)) for number in range(5))
    blocked.release()
    assert dispatcher.wait_idle(MAX_WAIT_S)
    assert handled == [0, 1, 2, 3, 4, "message during the turn"]
    dispatcher.close()


class NumberedMessage(NamedTuple):
    sender: int
    number: int


@pytest.mark.usefixtures("_hasty_threads")
def test_an_actor_runs_on_one_thread_at_a_time_and_keeps_the_order_of_each_sender() -> None:
    """Four threads, four senders; some actors die now and then, and another thread revives them."""
    dispatcher = Dispatcher(threads=4)
    actors = [OverlapDetector(dispatcher, is_mortal=index % 2 == 0) for index in range(6)]
    senders = [
        threading.Thread(target=send_all, args=(dispatcher, actors, sender)) for sender in range(4)
    ]
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join()
    for actor in actors:
        actor.has_all.wait(MAX_WAIT_S)
        assert actor.overlaps == 0
        assert len(actor.handled) == 4 * 200
        for sender in range(4):
            numbers = [message.number for message in actor.handled if message.sender == sender]
            assert numbers == list(range(200))
    assert dispatcher.wait_idle(MAX_WAIT_S)
    assert (dispatcher.waiting, dispatcher.handled) == (0, 6 * 4 * 200)
    dispatcher.close()


def send_all(dispatcher: Dispatcher, actors: "list[OverlapDetector]", sender: int) -> None:
    for number in range(200):
        dispatcher.deliver(
            (actor.mailbox, Envelope(NumberedMessage(sender, number))) for actor in actors
        )


class OverlapDetector:
    """Notices when it is run on two threads; a mortal one dies of every tenth message."""

    def __init__(self, dispatcher: Dispatcher, *, is_mortal: bool) -> None:
        self.mailbox = PooledMailbox("racer", dispatcher)
        self.handled: list[NumberedMessage] = []
        self.overlaps = 0
        self.has_all = threading.Event()
        self._dispatcher = dispatcher
        self._is_mortal = is_mortal
        self._running = threading.Lock()
        self._attach()

    def _handle(self, message: object) -> None:
        assert isinstance(message, NumberedMessage)
        if not self._running.acquire(blocking=False):
            self.overlaps += 1
            return
        self.handled.append(message)
        if len(self.handled) == 4 * 200:
            self.has_all.set()
        self._running.release()
        if self._is_mortal and len(self.handled) % 10 == 0:
            raise HandlerDied(threading.Thread(target=self._attach).start)

    def _attach(self) -> None:
        """Come back on another thread, perhaps before the turn in which it death has ended."""
        attach_handler(self._dispatcher, self.mailbox, self._handle)


def test_a_delivery_to_many_actors_is_one_wake_up(
    dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    wake_ups: list[int] = []
    mailboxes = [PooledMailbox(str(number), dispatcher) for number in range(100)]
    for mailbox in mailboxes:
        attach_handler(dispatcher, mailbox, lambda _: None)
    dispatcher.wait_idle(MAX_WAIT_S)
    notify = dispatcher._work_added.notify

    def notify_and_count(threads: int) -> None:
        wake_ups.append(threads)
        notify(threads)

    monkeypatch.setattr(dispatcher._work_added, "notify", notify_and_count)
    dispatcher.deliver((mailbox, Envelope("news")) for mailbox in mailboxes)
    assert dispatcher.wait_idle(MAX_WAIT_S)
    assert dispatcher.handled == 100
    assert len(wake_ups) == 1


def test_10_000_actors_get_a_tick_each_without_a_thread_each() -> None:
    dispatcher, supervisor, ticked = Dispatcher(threads=2), RecordingMailbox(), []
    threads = threading.active_count()
    mailboxes = [PooledMailbox(str(number), dispatcher) for number in range(10_000)]
    for mailbox in mailboxes:
        context = ActorContext(mailbox.name, mailbox, supervisor)
        handle = partial(lambda name, _: ticked.append(name), mailbox.name)
        PooledProbe.start(context, dispatcher, Script(on_receive=handle))
    assert threading.active_count() == threads
    dispatcher.deliver((mailbox, Envelope("tick")) for mailbox in mailboxes)
    assert dispatcher.wait_idle(MAX_WAIT_S)
    assert sorted(ticked) == sorted(mailbox.name for mailbox in mailboxes)
    assert threading.active_count() == threads
    dispatcher.close()
    assert threading.active_count() == threads - 2


def test_waiting_for_idle_ends_with_the_last_message_and_not_before(
    dispatcher: Dispatcher,
) -> None:
    handled: list[object] = []
    blocked = BlockedThread(dispatcher)
    mailbox = PooledMailbox("next", dispatcher)
    attach_handler(dispatcher, mailbox, handled.append)
    mailbox.tell("news")
    assert not dispatcher.wait_idle(0.01)
    blocked.release()
    assert dispatcher.wait_idle(MAX_WAIT_S)
    assert handled == ["news"]


def test_waiting_for_idle_includes_messages_between_actors(dispatcher: Dispatcher) -> None:
    last: list[object] = []
    chain = [PooledMailbox(str(number), dispatcher) for number in range(50)]
    attach_handler(dispatcher, chain[-1], last.append)
    for mailbox, following in pairwise(chain):
        attach_handler(dispatcher, mailbox, following.tell)
    chain[0].tell("pass it on")
    assert dispatcher.wait_idle(MAX_WAIT_S)
    assert last == ["pass it on"]


def test_mail_without_an_actor_does_not_count_as_work(dispatcher: Dispatcher) -> None:
    PooledMailbox("nobody's", dispatcher).tell("hello?")
    assert dispatcher.wait_idle(MAX_WAIT_S)
    assert dispatcher.waiting == 1


def test_a_slow_handler_is_listed_while_it_runs() -> None:
    clock = FakeClock()
    dispatcher = Dispatcher(2, clock)
    blocked = BlockedThread(dispatcher, "sluggish")
    clock.advance(1.0)
    assert dispatcher.slow_turns(1.0) == []
    clock.advance(1.5)
    (slow,) = dispatcher.slow_turns(1.0)
    assert (slow.name, slow.running_s) == ("sluggish", 2.5)
    assert slow.thread_id in {thread.ident for thread in dispatcher._threads}
    blocked.release()
    assert dispatcher.wait_idle(MAX_WAIT_S)
    assert dispatcher.slow_turns(0.0) == []
    dispatcher.close()


def test_the_longest_wait_for_a_turn_is_measured() -> None:
    clock = FakeClock()
    dispatcher = Dispatcher(1, clock)
    blocked = BlockedThread(dispatcher)
    assert dispatcher.oldest_s() == 0.0
    waiting = PooledMailbox("waiting", dispatcher)
    attach_handler(dispatcher, waiting, lambda _: None)
    clock.advance(3.0)
    waiting.tell("news")
    assert dispatcher.oldest_s() == 3.0
    blocked.release()
    assert dispatcher.wait_idle(MAX_WAIT_S)
    assert dispatcher.oldest_s() == 0.0
    dispatcher.close()


def test_closing_ends_every_thread_and_keeps_waiting_mail() -> None:
    dispatcher = Dispatcher(threads=3)
    dispatcher.close()
    assert not any(thread.is_alive() for thread in dispatcher._threads)
    mailbox = PooledMailbox("late", dispatcher)
    attach_handler(dispatcher, mailbox, lambda _: None)
    mailbox.tell("late")
    assert dispatcher.waiting == 1
