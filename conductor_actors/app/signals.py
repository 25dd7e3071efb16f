"""How a stop signal ends a command: at once with an exit code, or by a drain."""

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Event, Thread, main_thread
from traceback import walk_stack
from typing import Final, NoReturn, Protocol

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DRAIN_TIMEOUT_S: Final = 20.0  # from the signal to the exit

_OUTPUTS: Final = (1, 2)  # stdout and stderr
_HOOK_POLL_S: Final = 0.01


class _Stopped(SystemExit):
    """A stop signal ends the program."""


class Stoppable(Protocol):
    """A part of the program that runs until another thread stops it."""

    def stop(self) -> None:
        """Request the end, also before `run`, and more than once."""

    def run(self) -> int:
        """Run; return the exit code."""


def run_until_stopped(*services: Stoppable) -> int:
    """Run the services one after the other, until one fails or a stop signal arrives.

    The signal drains the service that runs, and prevents the start of the next; further signals
    have no effect. Return the exit code of the last that ran.
    """
    requests: SimpleQueue[None] = SimpleQueue()
    is_stopped = Event()

    def stop_on_request() -> None:
        requests.get()
        is_stopped.set()
        for service in services:
            service.stop()

    # A handler may put into this queue, but not touch a lock that it may have interrupted.
    Thread(target=stop_on_request, daemon=True).start()
    _handle_stop_signals(partial(requests.put, None))
    exit_code = 0
    for service in services:
        exit_code = service.run()
        if exit_code or is_stopped.is_set():
            break
    return exit_code


def exit_on_stop_signals(exit_code: int) -> None:
    """Make the stop signals exit with this code; open contexts are closed first."""
    _handle_stop_signals(partial(_exit, exit_code))
    sys.unraisablehook = partial(_stop_again, exit_code)


def _handle_stop_signals(react: Callable[[], None]) -> None:
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


def _exit(exit_code: int) -> NoReturn:
    """Exit; no further signal interrupts that."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise _Stopped(exit_code)


def _stop_again(exit_code: int, ignored: "sys.UnraisableHookArgs") -> None:
    """Repeat a stop that Python ignored, because the signal interrupted a finalizer."""
    if not issubclass(ignored.exc_type, _Stopped):
        sys.__unraisablehook__(ignored)
        return
    _handle_stop_signals(partial(_exit, exit_code))
    Thread(target=_signal_after_hook, daemon=True).start()


def _signal_after_hook() -> None:
    """Send a stop signal once the main thread has left `_stop_again`, where it has no effect."""
    while any(
        frame.f_code is _stop_again.__code__
        for frame, _ in walk_stack(sys._current_frames()[main_thread().ident or 0])  # noqa: SLF001
    ):
        time.sleep(_HOOK_POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)
