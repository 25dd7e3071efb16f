"""What is left in a mailbox one by one, and when its actor hears of it."""

from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

import pytest

from conductor_actors.actors.runtime.coalescing_mailbox import ITEMS_PER_WAKE, CoalescingMailbox
from conductor_actors.actors.runtime.mailbox import Envelope

PATIENCE_S = 5.0


@pytest.fixture
def mailbox() -> CoalescingMailbox[int]:
    return CoalescingMailbox(lambda items: items)


def add(mailbox: CoalescingMailbox[int], count: int) -> None:
    for number in range(count):
        mailbox.add(number)


def test_what_was_left_comes_as_one_message_in_front_of_the_next(
    mailbox: CoalescingMailbox[int],
) -> None:
    add(mailbox, 2)
    mailbox.tell("wake up")
    mailbox.add(2)
    assert mailbox.get().message == [0, 1, 2]
    assert mailbox.get().message == "wake up"
    assert mailbox.handled == 4


def test_few_wake_nobody_and_are_counted(mailbox: CoalescingMailbox[int]) -> None:
    add(mailbox, ITEMS_PER_WAKE - 1)
    assert mailbox.empty()
    assert mailbox.depth() == mailbox.items() == ITEMS_PER_WAKE - 1


def test_many_wake_the_actor(mailbox: CoalescingMailbox[int]) -> None:
    with ThreadPoolExecutor(1) as thread:
        heard: Future[object] = thread.submit(lambda: mailbox.get().message)
        add(mailbox, ITEMS_PER_WAKE)
        assert heard.result(PATIENCE_S) == [*range(ITEMS_PER_WAKE)]
    assert mailbox.empty()
    assert mailbox.depth() == 0


def test_who_is_woken_for_what_another_message_has_brought_sleeps_on(
    mailbox: CoalescingMailbox[int],
) -> None:
    mailbox.tell("first")
    add(mailbox, ITEMS_PER_WAKE)
    assert not mailbox.empty()
    assert mailbox.get().message == [*range(ITEMS_PER_WAKE)]
    assert mailbox.get().message == "first"
    assert mailbox.empty()


def test_nothing_is_lost_or_doubled_between_many_threads(mailbox: CoalescingMailbox[int]) -> None:
    with ThreadPoolExecutor(3) as threads:
        done = [threads.submit(add, mailbox, 5 * ITEMS_PER_WAKE) for _ in range(3)]
        heard: list[int] = []
        while len(heard) < 15 * ITEMS_PER_WAKE:
            heard += mailbox.get().message
        assert not any(each.exception(PATIENCE_S) for each in done)
    assert sorted(heard) == sorted(chain.from_iterable([range(5 * ITEMS_PER_WAKE)] * 3))


def test_a_mailbox_that_retires_keeps_what_was_left(mailbox: CoalescingMailbox[int]) -> None:
    add(mailbox, 3)
    mailbox.put(Envelope("told"))
    mailbox.retire()
    assert mailbox.depth() == 4
