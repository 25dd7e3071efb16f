"""Parse the parameters of a history request."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from conductor_actors.dashboard.auth import Denied
from conductor_actors.instants import to_ms

MAX_POINTS: Final = 10_000
MAX_RANGE: Final = timedelta(days=31)
DEFAULT_RANGE: Final = timedelta(hours=1)
MAX_STEP: Final = timedelta(days=1)

_STEP: Final = re.compile(r"([1-9][0-9]{0,4})([smh])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours"}
_YEARS: Final = range(2000, 2101)
_EXAMPLE_TIME: Final = "2026-01-04T12:00:00Z"


class HistoryRange(NamedTuple):
    """`[first, until)` in milliseconds since 1970, and the time between points.

    `step` is None if it is the tick.
    """

    first_ms: int
    until_ms: int
    step: timedelta | None


def parse_range(query: Mapping[str, str], now_s: float, tick_s: int) -> HistoryRange:
    """Parse `from`, `to` and `step`; the default is the last hour, tick by tick.

    Raise `Denied` for what is invalid.
    """
    unknown = query.keys() - {"from", "to", "step", "tenant"}
    if unknown:
        raise Denied(400, "unknown_parameter", "known are from, to, step")
    until_ms = _parse_instant(query, "to", round(now_s * 1000) + 1)
    first_ms = _parse_instant(query, "from", until_ms - _ms(DEFAULT_RANGE))
    step = _parse_step(query.get("step"), tick_s)
    if first_ms >= until_ms:
        raise Denied(400, "invalid_range", "from must be before to")
    if until_ms - first_ms > _ms(MAX_RANGE):
        raise Denied(400, "range_too_long", f"a range may have {MAX_RANGE.days} days at most")
    if (until_ms - first_ms) / _ms(step or timedelta(seconds=tick_s)) > MAX_POINTS:
        raise Denied(
            400, "too_many_points", f"more than {MAX_POINTS} points; ask for a larger step"
        )
    if step is None:
        return HistoryRange(first_ms, until_ms, None)
    return _extended(first_ms, until_ms, step)


def format_step(step: timedelta | None, tick_s: int) -> str:
    """Return a step in the form in which it is requested, such as `1m`."""
    seconds = tick_s if step is None else round(step.total_seconds())
    for unit, unit_s in (("h", 3600), ("m", 60)):
        if seconds % unit_s == 0:
            return f"{seconds // unit_s}{unit}"
    return f"{seconds}s"


def _parse_instant(query: Mapping[str, str], name: str, default_ms: int) -> int:
    text = query.get(name)
    if text is None:
        return default_ms
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))  # a plus sign that was not escaped
    except ValueError:
        raise Denied(400, "invalid_time", f"{name} is no time, e.g. {_EXAMPLE_TIME}") from None
    if at.tzinfo is None:
        raise Denied(400, "invalid_time", f"{name} needs a time zone, e.g. {_EXAMPLE_TIME}")
    if at.year not in _YEARS:
        raise Denied(400, "invalid_time", f"{name} is too far away")
    return to_ms(at)


def _parse_step(text: str | None, tick_s: int) -> timedelta | None:
    """Return a step; None if it is the tick."""
    if text is None:
        return None
    found = _STEP.fullmatch(text)
    if found is None:
        raise Denied(400, "invalid_step", "step is no number with s, m or h, e.g. 1m")
    step = timedelta(**{_UNITS[found[2]]: int(found[1])})
    tick = timedelta(seconds=tick_s)
    if step % tick or step > MAX_STEP:
        raise Denied(400, "invalid_step", f"step is a multiple of {tick_s}s, at most 24h")
    return None if step == tick else step


def _extended(first_ms: int, until_ms: int, step: timedelta) -> HistoryRange:
    """Extend a range to whole steps, so that every point covers a whole one."""
    step_ms = _ms(step)
    return HistoryRange(first_ms // step_ms * step_ms, -(-until_ms // step_ms) * step_ms, step)


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
