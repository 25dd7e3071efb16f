"""Cursors: the position in a list at which its next page begins, as text that clients send back.

A cursor has a checksum of its position and of what is listed, so that one that was altered, or that
is of another tenant or filter, is refused. It needs no secret: it gives access to nothing.
"""

from base64 import b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from conductor_actors.dashboard.access.auth import Denied, is_session_id

MAX_CURSOR_CHARS: Final = 2048
_CHECKSUM_BYTES: Final = 9
_MAX_INSTANT_MS: Final = 253_402_300_800_000  # the year 10,000

_encode: Final = msgspec.msgpack.Encoder().encode


class Position(NamedTuple):
    """An instant, and the id of what began then."""

    at_ms: int
    id: str


_decode: Final = msgspec.msgpack.Decoder(Position).decode


def format_position(listed: Sequence[object], position: Position) -> str:
    """Return the cursor of a position in what is listed."""
    packed = _encode(position)
    return urlsafe_b64encode(_checksum(listed, packed) + packed).decode().rstrip("=")


def parse_position(listed: Sequence[object], cursor: str | None) -> Position | None:
    """Return the position of a cursor, which must be of the same list; else raise `Denied`."""
    if cursor is None:
        return None
    if len(cursor) > MAX_CURSOR_CHARS:
        raise _invalid()
    try:
        decoded = b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        position = _decode(decoded[_CHECKSUM_BYTES:])
    except (Base64Error, ValueError):  # msgspec's errors are ValueErrors
        raise _invalid() from None
    is_possible = 0 <= position.at_ms < _MAX_INSTANT_MS and is_session_id(position.id)
    if not is_possible or format_position(listed, position) != cursor:
        raise _invalid()
    return position


def _checksum(listed: Sequence[object], packed: bytes) -> bytes:
    return blake2b(_encode((listed, packed)), digest_size=_CHECKSUM_BYTES).digest()


def _invalid() -> Denied:
    return Denied(400, "invalid_cursor", "cursor is `next` of the page before, of the same list")
