"""Entries as they are read, in the order of their ids. Apart from `intake`, which is compiled."""

from typing import Any, Self, TypeAlias

# One event as read: (milliseconds, sequence) of its entry id, event name, body. A plain tuple
# for speed; in this order because that is the order in which events are applied.
Entry: TypeAlias = tuple[int, int, str, bytes]
# For compiled code, which copies what it takes as an `Entry`: a restamped one would lose its id.
AnyEntry: TypeAlias = Any


class RestampedEntry(tuple[int, int, str, bytes]):  # noqa: SLOT001 - a tuple can have none
    """An entry with another time than its id says, because that is in the future."""

    id: tuple[int, int]

    def __new__(cls, entry: Entry, ms: int, sequence: int) -> Self:
        """Return an entry with this time and this place among those of the same time."""
        restamped = super().__new__(cls, (ms, sequence, entry[2], entry[3]))
        restamped.id = entry[0], entry[1]
        return restamped


def id_of(entry: Entry) -> tuple[int, int]:
    """Return the id of an entry in its stream."""
    return entry.id if isinstance(entry, RestampedEntry) else entry[:2]
