"""Handlers that a dispatcher runs without Pykka: each has a mailbox and no actor."""

import threading
from collections.abc import Callable

from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import PooledMailbox

MAX_WAIT_S = 10.0


def _do_nothing() -> None:
    pass


class HandlerDied(Exception):  # noqa: N818 - the end of an actor
    """Raised by a handler to fail; the mailbox keeps the mail. `on_failure` is called then."""

    def __init__(self, on_failure: Callable[[], None] = _do_nothing) -> None:
        super().__init__()
        self.on_failure = on_failure


class PlainTurnTaker:
    """What a dispatcher needs of an actor: calls a function at each turn."""

    def __init__(self, run: Callable[[], object]) -> None:
        self._run = run

    def take_turn(self) -> None:
        self._run()

    def report_hung(self, running_s: float) -> None:
        pass

    def release(self) -> None:
        pass


def attach_handler(
    dispatcher: Dispatcher, mailbox: PooledMailbox, handle: Callable[[object], None]
) -> None:
    def run() -> None:
        try:
            while envelope := mailbox.next_in_turn():
                handle(envelope.message)
        except HandlerDied as death:
            mailbox.actor = None
            death.on_failure()

    dispatcher.attach(mailbox, PlainTurnTaker(run))


class BlockedThread:
    """Keeps a thread of a dispatcher busy until `release`."""

    def __init__(
        self, dispatcher: Dispatcher, name: str = "blocked", *, waits: bool = False
    ) -> None:
        self._entered, self._released = threading.Event(), threading.Event()
        mailbox = PooledMailbox(name, dispatcher)
        attach_handler(dispatcher, mailbox, self._hold)
        mailbox.tell("hold")
        if not waits:  # for its turn, after others
            self.wait()

    def wait(self) -> None:
        assert self._entered.wait(MAX_WAIT_S)

    def release(self) -> None:
        self._released.set()

    def _hold(self, _: object) -> None:
        self._entered.set()
        assert self._released.wait(MAX_WAIT_S)
