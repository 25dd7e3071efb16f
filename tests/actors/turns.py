"""The least that can have turns on a dispatcher: a handler and its mailbox, without Pykka."""

import threading
from collections.abc import Callable

from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import PooledMailbox, TurnEnded

PATIENCE_S = 10.0


def _tell_nobody() -> None:
    pass


class Died(Exception):  # noqa: N818 - raised by a handler, as the end of its actor
    """The handler's actor is dead; its mailbox keeps the mail. `tell` hears of it."""

    def __init__(self, tell: Callable[[], None] = _tell_nobody) -> None:
        super().__init__()
        self.tell = tell


def attach(
    dispatcher: Dispatcher, mailbox: PooledMailbox, handle: Callable[[object], None]
) -> None:
    def run() -> None:
        try:
            while True:
                handle(mailbox.get().message)
        except TurnEnded:
            return
        except Died as died:
            mailbox.run = None
            died.tell()

    dispatcher.attach(mailbox, run)


class Held:
    """Keeps a thread of a dispatcher busy until `release`."""

    def __init__(self, dispatcher: Dispatcher, name: str = "held", *, waits: bool = False) -> None:
        self._entered, self._released = threading.Event(), threading.Event()
        mailbox = PooledMailbox(name, dispatcher)
        attach(dispatcher, mailbox, self._hold)
        mailbox.tell("hold")
        if not waits:  # for the others before it
            self.wait()

    def wait(self) -> None:
        assert self._entered.wait(PATIENCE_S)

    def release(self) -> None:
        self._released.set()

    def _hold(self, _: object) -> None:
        self._entered.set()
        assert self._released.wait(PATIENCE_S)
