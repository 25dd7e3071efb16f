"""The steps in which a chart shows many ticks: as small as its number of points allows."""

from collections.abc import Iterator
from itertools import count
from typing import Final

_TICKS: Final = (1, 2, 3, 6, 12, 24, 60, 120, 360, 720, 1440, 4320, 8640, 17280)


def chart_step_s(first_ms: int, last_ms: int, max_points: int, tick_s: int) -> int:
    """Return the smallest step of which `max_points` cover all ticks from the first to the last.

    A step begins at a multiple of its length since 1970, so a step of a minute is a whole minute.
    """
    return next(
        step_s
        for step_s in _steps_s(tick_s)
        if last_ms // (step_s * 1000) - first_ms // (step_s * 1000) < max_points
    )


def iso_step(step_s: int) -> str:
    """Return a step as an ISO 8601 duration in seconds, such as `PT60S`."""
    return f"PT{step_s}S"


def _steps_s(tick_s: int) -> Iterator[int]:
    yield from (ticks * tick_s for ticks in _TICKS)
    yield from (_TICKS[-1] * tick_s << doubled for doubled in count(1))
