"""How SIGINT and SIGTERM end a command: by leaving, or by a drain."""

import signal
import sys
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Final, NoReturn, Protocol

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
DRAIN_WITHIN_S: Final = 20.0  # from the signal to the exit


class Stoppable(Protocol):
    """What runs until it is asked to stop, by any thread."""

    def stop(self) -> None:
        """Ask for an end."""

    def run(self) -> int:
        """Run; return the exit code."""


def until_stopped(service: Stoppable) -> int:
    """Run until SIGINT or SIGTERM asks for a drain; asking again changes nothing."""
    asked: SimpleQueue[None] = SimpleQueue()

    def stop_when_asked() -> None:
        asked.get()
        service.stop()

    # A handler may put into this queue, but not touch a lock that it may have interrupted.
    Thread(target=stop_when_asked, daemon=True).start()
    _on_stop_signals(partial(asked.put, None))
    return service.run()


def leaving_with(code: int) -> None:
    """Have these signals exit with a code, undoing everything on the way."""
    _on_stop_signals(partial(_leave, code))


def _on_stop_signals(react: Callable[[], None]) -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: react())


def _leave(code: int) -> NoReturn:
    """Exit; nothing interrupts that."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)
