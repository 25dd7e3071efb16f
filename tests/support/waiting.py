"""Waiting for a condition, with a deadline."""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import Final

POLL_S: Final = 0.05


def becomes_true(condition: Callable[[], bool], within_s: float) -> bool:
    """Return whether the condition holds within this time."""
    until_s = monotonic() + within_s
    while not condition():
        if monotonic() > until_s:
            return False
        Event().wait(POLL_S)
    return True


def wait_until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait until the condition holds; fail after this time."""
    assert becomes_true(condition, within_s), f"not within {within_s:g} s"
