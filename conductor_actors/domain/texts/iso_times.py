"""Times in the bodies of commands and events: ISO 8601 text to milliseconds since 1970."""

import re
from calendar import monthrange, timegm
from typing import Annotated, Final, TypeAlias

import msgspec

UtcText: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z\Z",
        max_length=30,
    ),
]

_ISO_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,9}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)


def milliseconds(text: str) -> int:
    """Return the milliseconds since 1970 of a time in UTC, or with its offset from UTC.

    Raise `ValueError` if the text has another form, or the time does not exist.
    """
    found = _ISO_TIME.fullmatch(text)
    if found is None:
        raise ValueError("must be a time such as 2026-01-04T12:00:00Z")
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    fraction, sign, *offset = found.groups()[6:]
    hours, minutes = (int(each or 0) for each in offset)
    is_date = year > 0 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]
    if not is_date or max(hour, hours) > 23 or max(minute, second, minutes) > 59:
        raise ValueError("must be a time that exists")
    ms = timegm((year, month, day, hour, minute, second)) * 1000 + int(f"{fraction or 0:0<3}"[:3])
    return ms - (hours * 60 + minutes) * 60_000 * (-1 if sign == "-" else 1)
