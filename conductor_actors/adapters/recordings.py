"""Recorded events: a file with one JSON document a line, or a stretch of Redis streams."""

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import redis

from conductor_actors.adapters.redis_client import exchange, open_client, translated
from conductor_actors.adapters.redis_streams import entries_of
from conductor_actors.adapters.tenants import EventNames
from conductor_actors.domain.intake import Entry
from conductor_actors.errors import ConfigError

PAGE: Final = 1000
# The milliseconds end in the year 5138: later ones would soon have no date to be written as.
LAST_MS: Final = "9" * 14

_ENTRY_ID: Final = re.compile(r"([0-9]{1,14})(?:-([0-9]{1,20}))?")


class _Line(msgspec.Struct):
    id: str
    name: str
    data: msgspec.Raw


class Recording(NamedTuple):
    """Entries in the order of their ids, and the numbers of the lines that are none."""

    entries: Sequence[Entry]
    unreadable: Sequence[int]


def read_file(path: Path) -> Recording:
    """Read `{"id": "<ms>-<n>", "name": …, "data": {…}}` lines, in any order."""
    entries: list[Entry] = []
    unreadable: list[int] = []
    decoder = msgspec.json.Decoder(_Line)
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    entry = _entry(decoder, text)
                    if entry is None:
                        unreadable.append(number)
                    else:
                        entries.append(entry)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    entries.sort()
    return Recording(entries, unreadable)


def _entry(decoder: msgspec.json.Decoder[_Line], text: bytes) -> Entry | None:
    try:
        line = decoder.decode(text)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    entry_id = _ENTRY_ID.fullmatch(line.id)
    if entry_id is None:
        return None
    return int(entry_id[1]), int(entry_id[2] or 0), line.name, bytes(line.data)


def read_streams(url: str, tenants: Sequence[str], first: str, last: str) -> Iterator[Entry]:
    """Read the entries from one id to another, both included, merged over all names."""
    for entry_id, open_end in ((first, "-"), (last, "+")):
        if entry_id != open_end and _ENTRY_ID.fullmatch(entry_id) is None:
            raise ConfigError(f"{entry_id!r} is no stream entry id, e.g. 1767528000000-0")
    client = open_client(url)
    try:
        with translated():
            names = EventNames(client, tenants).current()
        last = LAST_MS if last == "+" else last
        yield from heapq.merge(*(_pages(client, name, first, last) for name in names))
    finally:
        client.close()


def _pages(client: redis.Redis, name: str, first: str, last: str) -> Iterable[Entry]:
    while True:
        with translated():
            [raw_entries] = exchange(client, [("XRANGE", name, first, last, "COUNT", PAGE)])
        yield from entries_of(name, raw_entries)
        if len(raw_entries) < PAGE:
            return
        first = f"({raw_entries[-1][0].decode()}"
