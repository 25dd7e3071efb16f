"""How SIGINT, SIGTERM and SIGHUP end a command: at once, or by a drain."""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Final, NoReturn, Protocol

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DRAIN_WITHIN_S: Final = 20.0  # from the signal to the exit

_OUTPUTS: Final = (1, 2)  # stdout and stderr


class Stoppable(Protocol):
    """What runs until any thread asks it to stop."""

    def stop(self) -> None:
        """Request the end."""

    def run(self) -> int:
        """Run; return the exit code."""


def until_stopped(service: Stoppable) -> int:
    """Run until a stop signal requests a drain; further signals change nothing."""
    requests: SimpleQueue[None] = SimpleQueue()

    def stop_on_request() -> None:
        requests.get()
        service.stop()

    # A handler may put into this queue, but not touch a lock that it may have interrupted.
    Thread(target=stop_on_request, daemon=True).start()
    _on_stop_signals(partial(requests.put, None))
    return service.run()


def leaving_with(code: int) -> None:
    """Make the stop signals exit with a code; every open context is closed on the way."""
    _on_stop_signals(partial(_leave, code))


def _on_stop_signals(react: Callable[[], None]) -> None:
    terminals = [output for output in _OUTPUTS if os.isatty(output)]

    def handle(number: int, _: object) -> None:
        if number == signal.SIGHUP:
            _discard_output(terminals)
        react()

    for number in STOP_SIGNALS:
        # `nohup` ignores SIGHUP for the programs that it starts: that must stay so.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handle)


def _discard_output(terminals: list[int]) -> None:
    """Discard what is written to a terminal that was closed: it would raise an error."""
    null = os.open(os.devnull, os.O_WRONLY)
    for output in terminals:
        os.dup2(null, output)
    os.close(null)


def _leave(code: int) -> NoReturn:
    """Exit; no further signal interrupts that."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)
