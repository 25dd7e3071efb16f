"""Who has the next turn: tenants take turns, and so do the actors of each."""

from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import Envelope, PooledMailbox
from conductor_actors.actors.runtime.run_queue import RunQueue
from tests.actors.pooled_handlers import MAX_WAIT_S, BlockedThread, attach_handler


@pytest.fixture(scope="module")
def idle() -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(1)
    yield dispatcher
    dispatcher.close()


def order(dispatcher: Dispatcher, *names: str) -> list[str]:
    queue = RunQueue()
    for name in names:
        queue.push(PooledMailbox(name, dispatcher), 0.0)
    return [queue.pop().name for _ in range(len(queue))]


def test_actors_of_one_tenant_have_turns_in_order(idle: Dispatcher) -> None:
    assert order(idle, "a/1", "a/3", "a/2") == ["a/1", "a/3", "a/2"]


def test_tenants_take_turns(idle: Dispatcher) -> None:
    assert order(idle, "a/1", "a/2", "a/3", "b/1", "b/2", "c/1") == [
        *("a/1", "b/1", "c/1"),
        *("a/2", "b/2"),
        "a/3",
    ]


def test_an_actor_that_is_queued_again_is_behind_the_others(idle: Dispatcher) -> None:
    queue, mailboxes = RunQueue(), [PooledMailbox(name, idle) for name in ("a/1", "b/1")]
    turns = []
    for mailbox in mailboxes:
        queue.push(mailbox, 0.0)
    for _ in range(4):
        turns.append(queue.pop())
        queue.push(turns[-1], 0.0)
    assert turns == mailboxes * 2


def test_the_longest_wait_is_measured_across_tenants(idle: Dispatcher) -> None:
    queue = RunQueue()
    assert queue.oldest_s(9.0) == 0.0
    for since_s, name in enumerate(("a/1", "a/2", "b/1")):
        queue.push(PooledMailbox(name, idle), float(since_s))
    queue.pop()  # now it is b's turn, but a/2 came before
    assert queue.oldest_s(9.0) == 8.0


@given(st.lists(st.sampled_from(("a/1", "a/2", "b/1", "c/1", None))))
def test_no_actor_is_lost_or_overtaken_by_another_of_its_tenant(steps: list[str | None]) -> None:
    dispatcher = Dispatcher(0)
    queue, waiting = RunQueue(), list[PooledMailbox]()
    for name in steps:
        if name is not None:
            waiting.append(PooledMailbox(name, dispatcher))
            queue.push(waiting[-1], 0.0)
        elif waiting:
            mailbox = queue.pop()
            assert mailbox is next(each for each in waiting if each.tenant == mailbox.tenant)
            waiting.remove(mailbox)
        assert len(queue) == len(waiting)


def test_5000_busy_sessions_of_one_tenant_delay_those_of_another_by_one_turn_each() -> None:
    dispatcher, turns = Dispatcher(1), list[str]()
    blocked = BlockedThread(dispatcher, "blocked/0")
    names = [*(f"flood/{number}" for number in range(5000)), *(f"quiet/{n}" for n in range(10))]
    for name in names:
        mailbox = PooledMailbox(name, dispatcher)
        attach_handler(dispatcher, mailbox, partial(lambda name, _: turns.append(name), name))
        dispatcher.deliver([(mailbox, Envelope("news"))])
    blocked.release()
    assert dispatcher.wait_idle(MAX_WAIT_S)
    dispatcher.close()
    assert len(turns) == 5010
    assert max(turns.index(f"quiet/{number}") for number in range(10)) < 2 * 10
