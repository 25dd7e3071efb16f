"""Read a line of the log: cut, mixed with anything else, or made up, it may be anything."""

from typing import Final

import msgspec

from conductor_actors.log_events import NEVER, AnyEvent

MAX_LINE_BYTES: Final = 1 << 18

_event: Final[msgspec.json.Decoder[AnyEvent]] = msgspec.json.Decoder(AnyEvent)


def read_line(text: bytes) -> AnyEvent:
    """Return the log event of a line, whatever stands before its brace.

    Raise `ValueError` if it is no line of ours.
    """
    begin = text.find(b"{")
    if begin < 0 or len(text) > MAX_LINE_BYTES:
        raise ValueError
    try:
        event = _event.decode(text[begin:])
    except RecursionError:
        raise ValueError from None
    if event.timestamp == NEVER:
        raise ValueError
    return event
