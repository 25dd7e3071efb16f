"""Figures and texts as a terminal shows them."""

from typing import Final

from conductor_actors.scoreboard.drawing import printable

UNKNOWN: Final = "-"

__all__ = ["count", "duration", "printable", "rate", "share", "span"]


def count(number: int | None) -> str:
    """Write a number of things."""
    return UNKNOWN if number is None else f"{number:,}"


def rate(per_s: float | None) -> str:
    """Write a number a second."""
    if per_s is None:
        return UNKNOWN
    return f"{per_s:,.1f}" if abs(per_s) < 100 else f"{per_s:,.0f}"


def share(part: float | None) -> str:
    """Write a part of one."""
    if part is None:
        return UNKNOWN
    return f"{part:.1%}" if 0 < part < 0.1 else f"{part:.0%}"


def duration(seconds: float | None) -> str:
    """Write how long something took or waits."""
    if seconds is None:
        return UNKNOWN
    if 0 < abs(seconds) < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if abs(seconds) < 100 else f"{seconds:,.0f} s"


def span(seconds: float | None) -> str:
    """Write how long something has been there."""
    if seconds is None:
        return UNKNOWN
    minutes, left_s = divmod(int(seconds), 60)
    hours, left_min = divmod(minutes, 60)
    days, left_h = divmod(hours, 24)
    if days:
        return f"{days:,} d {left_h} h"
    if hours:
        return f"{hours} h {left_min} min"
    return f"{minutes} min {left_s} s" if minutes else f"{left_s} s"
