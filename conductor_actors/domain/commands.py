"""Commands: what people arrange for a session, as entries of the stream `conductor:commands`.

A command is an entry like an event, so replay and recovery apply it at the same place. It is read
from the stream alone: whoever may publish in a tenant's name must not command in it. Its body is
`{command, sessionId, …}`. Source of the names: the contract, sections 2 and 7.
"""

from calendar import monthrange, timegm
from typing import Annotated, Final, TypeAlias, final

import msgspec

from conductor_actors.domain.identity import Id
from conductor_actors.errors import InvalidEvent

QUIET: Final = "quiet"
MAX_QUIET_MS: Final = 24 * 3_600_000  # after the command: a session can't be silenced by mistake

_Instant: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z\Z",
        max_length=30,
    ),
]


@final
class QuietSet(msgspec.Struct, frozen=True, gc=False):
    """Quiet by arrangement until `until_ms`; a time that has passed ends it."""

    at_ms: int
    until_ms: int


class _Command(msgspec.Struct, gc=False):
    command: str
    sessionId: Id


class _Quiet(msgspec.Struct, gc=False):
    until: _Instant | None


_command: Final = msgspec.json.Decoder(_Command).decode
_quiet: Final = msgspec.json.Decoder(_Quiet).decode
_encode: Final = msgspec.json.Encoder().encode


def encode_quiet(session_id: str, until: str | None) -> bytes:
    """Return the body of a command that makes a session quiet until then, or ends that for None."""
    return _encode({"command": QUIET, "sessionId": session_id, "until": until})


def decode_command(body: bytes, at_ms: int) -> tuple[str, QuietSet]:
    """Read `conductor:commands`: `quiet` with `until` as ISO 8601 in UTC, or null to end it."""
    command = _command(body)
    if command.command != QUIET:
        raise InvalidEvent("unknown_type")
    until = _quiet(body).until
    until_ms = 0 if until is None else max(0, _milliseconds(until))
    return command.sessionId, QuietSet(at_ms, min(until_ms, at_ms + MAX_QUIET_MS))


def _milliseconds(until: str) -> int:
    """Return the instant in milliseconds since 1970; raise `InvalidEvent` if it does not exist."""
    date, _, time = until[:19].partition("T")
    year, month, day = map(int, date.split("-"))
    hour, minute, second = map(int, time.split(":"))
    is_date = year > 0 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]
    if not is_date or hour > 23 or minute > 59 or second > 59:
        raise InvalidEvent("wrong_shape")
    fraction = until[20:-1]
    return timegm((year, month, day, hour, minute, second)) * 1000 + int(f"{fraction:0<3}"[:3])
