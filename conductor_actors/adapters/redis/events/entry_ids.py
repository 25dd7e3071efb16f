"""Ids of stream entries, `<milliseconds>-<sequence>`: the order of a stream's entries."""

import re
from typing import Final

from conductor_actors.domain.merging import Frontier

MAX_SEQUENCE: Final = (1 << 64) - 1

# Of the year 5138. Milliseconds with more digits soon have no date to be written as.
MAX_MS: Final = "9" * 14

ENTRY_ID: Final = re.compile(r"([0-9]{1,14})(?:-([0-9]{1,20}))?")

_ANY_ENTRY_ID: Final = re.compile(r"([0-9]{1,20})(?:-([0-9]{1,20}))?")


def is_entry_id(text: str) -> bool:
    """Check whether Redis accepts an id, also one in another unit than milliseconds."""
    numbers = _ANY_ENTRY_ID.fullmatch(text)
    return numbers is not None and max(int(each or 0) for each in numbers.groups()) <= MAX_SEQUENCE


def parse_id(entry_id: bytes) -> Frontier:
    """Return milliseconds and sequence; an id without a sequence has 0."""
    ms, _, sequence = entry_id.partition(b"-")
    return int(ms), int(sequence or 0)


def format_id(entry_id: Frontier) -> bytes:
    """Return an id as Redis writes it."""
    return b"%d-%d" % entry_id


def previous_id(entry_id: Frontier) -> Frontier:
    """Return the greatest id that is less; (0, 0) has none and returns itself."""
    ms, sequence = entry_id
    if entry_id == (0, 0):
        return entry_id
    return (ms, sequence - 1) if sequence else (ms - 1, MAX_SEQUENCE)


def next_id(entry_id: Frontier) -> Frontier:
    """Return the least id that is greater."""
    ms, sequence = entry_id
    return (ms + 1, 0) if sequence == MAX_SEQUENCE else (ms, sequence + 1)
