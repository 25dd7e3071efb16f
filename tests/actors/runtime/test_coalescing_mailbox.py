"""What is left in a mailbox one by one, and when its actor hears of it."""

from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

import pytest

from conductor_actors.actors.runtime.coalescing_mailbox import ITEMS_PER_WAKE, CoalescingMailbox
from conductor_actors.actors.runtime.mailbox import Envelope

MAX_WAIT_S = 5.0


@pytest.fixture
def mailbox() -> CoalescingMailbox[int]:
    return CoalescingMailbox(lambda items: items)


def add(mailbox: CoalescingMailbox[int], count: int) -> None:
    for number in range(count):
        mailbox.add(number)


def add_and_tell(mailbox: CoalescingMailbox[int], count: int) -> None:
    add(mailbox, count)
    mailbox.tell([])  # wakes the actor for the last items


def test_items_are_delivered_as_one_message_before_the_next_message(
    mailbox: CoalescingMailbox[int],
) -> None:
    add(mailbox, 2)
    mailbox.tell("wake up")
    mailbox.add(2)
    assert mailbox.get().message == [0, 1, 2]
    assert mailbox.get().message == "wake up"
    assert mailbox.handled == 4


def test_few_items_do_not_wake_the_actor_and_are_counted(mailbox: CoalescingMailbox[int]) -> None:
    add(mailbox, ITEMS_PER_WAKE - 1)
    assert mailbox.empty()
    assert mailbox.depth() == mailbox.items() == ITEMS_PER_WAKE - 1


def test_many_items_wake_the_actor(mailbox: CoalescingMailbox[int]) -> None:
    with ThreadPoolExecutor(1) as thread:
        received: Future[object] = thread.submit(lambda: mailbox.get().message)
        add(mailbox, ITEMS_PER_WAKE)
        assert received.result(MAX_WAIT_S) == [*range(ITEMS_PER_WAKE)]
    assert mailbox.empty()
    assert mailbox.depth() == 0


def test_an_actor_sleeps_on_if_its_items_were_delivered_with_another_message(
    mailbox: CoalescingMailbox[int],
) -> None:
    mailbox.tell("first")
    add(mailbox, ITEMS_PER_WAKE)
    assert not mailbox.empty()
    assert mailbox.get().message == [*range(ITEMS_PER_WAKE)]
    assert mailbox.get().message == "first"
    assert mailbox.empty()


def test_items_of_many_threads_are_neither_lost_nor_duplicated(
    mailbox: CoalescingMailbox[int],
) -> None:
    with ThreadPoolExecutor(3) as threads:
        done = [threads.submit(add_and_tell, mailbox, 5 * ITEMS_PER_WAKE) for _ in range(3)]
        received: list[int] = []
        while len(received) < 15 * ITEMS_PER_WAKE:
            received += mailbox.get().message
        assert not any(each.exception(MAX_WAIT_S) for each in done)
    assert sorted(received) == sorted(chain.from_iterable([range(5 * ITEMS_PER_WAKE)] * 3))


def test_a_mailbox_that_retires_keeps_its_items(mailbox: CoalescingMailbox[int]) -> None:
    add(mailbox, 3)
    mailbox.put(Envelope("told"))
    mailbox.retire()
    assert mailbox.depth() == 4
