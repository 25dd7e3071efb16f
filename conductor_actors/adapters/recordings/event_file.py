"""Read recorded events from a file with one JSON document a line."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from conductor_actors.adapters.redis.events.entry_ids import ENTRY_ID
from conductor_actors.adapters.server_urls import without_password
from conductor_actors.domain.entries import Entry
from conductor_actors.errors import ConfigError


class _EventLine(msgspec.Struct):
    id: str
    name: str
    data: msgspec.Raw


class EventFile(NamedTuple):
    """Entries in the order of their ids, and the numbers of the lines that are no entries."""

    entries: Sequence[Entry]
    invalid_lines: Sequence[int]


def read_event_file(path: Path) -> EventFile:
    """Read lines of `{"id": "<ms>-<n>", "name": …, "data": {…}}`, in any order.

    Raise `ConfigError` if the file can't be opened.
    """
    entries: list[Entry] = []
    invalid: list[int] = []
    decoder = msgspec.json.Decoder(_EventLine)
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    entry = _decode(decoder, text)
                    if entry is None:
                        invalid.append(number)
                    else:
                        entries.append(entry)
    except OSError as error:
        raise ConfigError(f"{without_password(str(path))}: {error.strerror}") from None
    entries.sort()
    return EventFile(entries, invalid)


def _decode(decoder: msgspec.json.Decoder[_EventLine], text: bytes) -> Entry | None:
    try:
        line = decoder.decode(text)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    entry_id = ENTRY_ID.fullmatch(line.id)
    if entry_id is None:
        return None
    return int(entry_id[1]), int(entry_id[2] or 0), line.name, bytes(line.data)
