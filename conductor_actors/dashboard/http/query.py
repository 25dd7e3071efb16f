"""Parse the parameters of requests for histories."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

from starlette.datastructures import QueryParams

from conductor_actors.dashboard.access.auth import Denied
from conductor_actors.instants import to_ms

Default = TypeVar("Default", int, None)

MAX_POINTS: Final = 10_000  # of all sessions of a response
MAX_SESSIONS: Final = 100  # of a request
MAX_RANGE: Final = timedelta(days=31)
DEFAULT_RANGE: Final = timedelta(hours=1)
MAX_STEP: Final = timedelta(days=1)

_STEP: Final = re.compile(r"([1-9][0-9]{0,4})([smh])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours"}
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_YEARS: Final = range(2000, 2101)
_EXAMPLE_TIME: Final = "2026-01-04T12:00:00Z"


class HistoryRange(NamedTuple):
    """`[first, until)` in milliseconds since 1970, and the time between points.

    `step` is None if it is the tick.
    """

    first_ms: int
    until_ms: int
    step: timedelta | None


class HistoriesQuery(NamedTuple):
    """Some sessions, and `[first, until)` in milliseconds since 1970."""

    session_ids: Sequence[str]
    first_ms: int
    until_ms: int


def parse_range(query: Mapping[str, str], now_s: float, tick_s: int) -> HistoryRange:
    """Parse `from`, `to` and `step`; the default is the last hour, tick by tick.

    Raise `Denied` for what is invalid.
    """
    check_names(query, "from", "to", "step")
    first_ms, until_ms = parse_instants(query, now_s)
    step = _parse_step(query.get("step"), tick_s)
    if (until_ms - first_ms) / _ms(step or timedelta(seconds=tick_s)) > MAX_POINTS:
        raise Denied(
            400, "too_many_points", f"more than {MAX_POINTS} points; ask for a larger step"
        )
    if step is None:
        return HistoryRange(first_ms, until_ms, None)
    return _extended(first_ms, until_ms, step)


def parse_histories(query: QueryParams, now_s: float, tick_s: int) -> HistoriesQuery:
    """Parse each `session`, `from` and `to`; the default is the last hour.

    Raise `Denied` for what is invalid, except for ids that are.
    """
    check_names(query, "session", "from", "to")
    first_ms, until_ms = parse_instants(query, now_s)
    session_ids = list(dict.fromkeys(query.getlist("session")))
    if not session_ids:
        raise Denied(400, "session_missing", "name the sessions, e.g. session=a&session=b")
    if len(session_ids) > MAX_SESSIONS:
        raise Denied(400, "too_many_sessions", f"a request may name {MAX_SESSIONS} sessions")
    if len(session_ids) * (until_ms - first_ms) / (tick_s * 1000) > MAX_POINTS:
        raise Denied(
            *(400, "too_many_points"),
            f"more than {MAX_POINTS} points; ask for fewer sessions or a shorter range",
        )
    return HistoriesQuery(session_ids, first_ms, until_ms)


def format_step(step: timedelta | None, tick_s: int) -> str:
    """Return a step in the form in which it is requested, such as `1m`."""
    seconds = tick_s if step is None else round(step.total_seconds())
    for unit, unit_s in (("h", 3600), ("m", 60)):
        if seconds % unit_s == 0:
            return f"{seconds // unit_s}{unit}"
    return f"{seconds}s"


def check_names(query: Mapping[str, str], *known: str) -> None:
    """Raise `Denied` if a parameter is not known."""
    if query.keys() - {*known, "tenant"}:
        raise Denied(400, "unknown_parameter", f"known are {', '.join(known)}")


def parse_instants(
    query: Mapping[str, str], now_s: float, default_range: timedelta = DEFAULT_RANGE
) -> tuple[int, int]:
    """Return `from` and `to` in milliseconds since 1970; raise `Denied` for what is invalid."""
    until_ms = parse_instant(query, "to", round(now_s * 1000) + 1)
    first_ms = parse_instant(query, "from", until_ms - _ms(default_range))
    if first_ms >= until_ms:
        raise Denied(400, "invalid_range", "from must be before to")
    if until_ms - first_ms > _ms(MAX_RANGE):
        raise Denied(400, "range_too_long", f"a range may have {MAX_RANGE.days} days at most")
    return first_ms, until_ms


def parse_number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """Return a number of `least` to `most`; raise `Denied` for what is none."""
    text = query.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise Denied(400, f"invalid_{name}", f"{name} is a number from {least} to {most}")
    return int(text)


def parse_instant(query: Mapping[str, str], name: str, default_ms: Default) -> int | Default:
    """Return an instant in milliseconds since 1970; raise `Denied` for what is none."""
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
