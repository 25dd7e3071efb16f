"""Signal handlers, which Ray replaces when it starts."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from conductor_actors.app.signals import STOP_SIGNALS


@contextmanager
def same_signal_handlers() -> Iterator[None]:
    """Handle the stop signals after the block as before it."""
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
