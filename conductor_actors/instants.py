"""Instants in each of their forms: milliseconds since 1970, aware datetimes, ISO 8601 text.

The domain uses milliseconds alone, so this module is not part of it.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, Literal

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)


def to_datetime(ms: float) -> datetime:
    """Return the instant as a datetime in UTC; raise `OverflowError` after the year 9999."""
    return EPOCH + timedelta(milliseconds=ms)


def to_ms(at: datetime) -> int:
    """Return the milliseconds since 1970; raise `TypeError` if the datetime has no time zone."""
    return round((at - EPOCH) / MILLISECOND)


def to_iso(
    ms: float, precision: Literal["auto", "seconds", "milliseconds"] = "auto", utc: str = "Z"
) -> str:
    """Return the instant as ISO 8601 in UTC, truncated to the precision."""
    return to_datetime(ms).isoformat(timespec=precision).removesuffix("+00:00") + utc


def utc_text(at: datetime) -> str:
    """Return an instant as ISO 8601 in UTC with milliseconds, or all of its microseconds."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    precision = "microseconds" if utc.microsecond % 1000 else "milliseconds"
    return f"{utc.replace(tzinfo=None).isoformat(timespec=precision)}Z"


def from_iso(text: str) -> datetime:
    """Parse an ISO 8601 text, which is in UTC unless it has another time zone.

    Raise `ValueError` if the text is not ISO 8601.
    """
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
