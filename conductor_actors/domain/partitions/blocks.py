"""Blocks: a partition's entries of one interval of the merged order, as the splitter writes them.

A block has every entry of its partition from `begin` up to `end`, so a reader that has everything
before its frontier knows what it may skip, and what is missing.
"""

from collections.abc import Iterable, Sequence
from sys import intern
from typing import Any, Final, Self

import msgspec

from conductor_actors.domain.conductor.directives import Directives
from conductor_actors.domain.entries import Entry, RestampedEntry, id_of
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.merging import Frontier

FIRST: Final[Frontier] = (0, 0)  # where the first block of all begins


class Interval(msgspec.Struct, frozen=True, array_like=True):
    """An interval `[begin, end)` of the merged order, and what holds for all partitions in it.

    `now_ms` is the server's time when it was read. `first_tick_ms` and `directives` are those of
    the first read of all.
    """

    begin: Frontier
    end: Frontier
    now_ms: int
    gaps: tuple[Gap, ...] = ()
    clock_gaps: tuple[Gap, ...] = ()
    first_tick_ms: int | None = None
    directives: dict[str, Directives] = {}


class Block(msgspec.Struct, frozen=True, array_like=True):
    """The entries of a partition in an interval, as columns. `own_ids` are those of restamped."""

    interval: Interval
    names: list[str]
    name_numbers: list[int]
    times_ms: list[int]
    sequences: list[int]
    bodies: list[bytes]
    own_ids: dict[int, Frontier]

    @classmethod
    def of(cls, interval: Interval, entries: Sequence[Entry]) -> Self:
        """Return a block of entries, which are in order."""
        if not entries:
            return cls(interval, [], [], [], [], [], {})
        times_ms, sequences, names, bodies = zip(*entries, strict=True)
        distinct = {name: number for number, name in enumerate(dict.fromkeys(names))}
        return cls(
            interval,
            list(distinct),
            [distinct[name] for name in names],
            list(times_ms),
            list(sequences),
            list(bodies),
            dict(_own_ids(entries)) if set(map(type, entries)) != _PLAIN else {},
        )

    def entries(self) -> list[Entry]:
        """Return the entries."""
        names = [intern(name) for name in self.names]
        columns = self.times_ms, self.sequences, self.name_numbers, self.bodies
        entries: list[Entry] = [
            (ms, sequence, names[number], body)
            for ms, sequence, number, body in zip(*columns, strict=True)
        ]
        for index, own_id in self.own_ids.items():
            ms, sequence, name, body = entries[index]
            entries[index] = RestampedEntry((*own_id, name, body), ms, sequence)
        return entries


_PLAIN: Final = {tuple}  # the types of entries none of which is restamped

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Block).decode


def encode_block(block: Block) -> bytes:
    """Return a block as bytes."""
    return _encode(block)


def decode_block(data: bytes) -> Block:
    """Return the block that was encoded; raise `msgspec.DecodeError` if it can't be read."""
    return _decode(data)


def _own_ids(entries: Iterable[Any]) -> Iterable[tuple[int, Frontier]]:
    for index, entry in enumerate(entries):
        if isinstance(entry, RestampedEntry):
            yield index, id_of(entry)
