"""Recorded events: a file with one JSON document a line."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from conductor_actors.adapters.server_urls import without_password
from conductor_actors.domain.intake import Entry
from conductor_actors.errors import ConfigError

# The milliseconds end in the year 5138: later ones would soon have no date to be written as.
LAST_MS: Final = "9" * 14

ENTRY_ID: Final = re.compile(r"([0-9]{1,14})(?:-([0-9]{1,20}))?")


class _Line(msgspec.Struct):
    id: str
    name: str
    data: msgspec.Raw


class EventFile(NamedTuple):
    """Entries in the order of their ids, and the numbers of the lines that are no entries."""

    entries: Sequence[Entry]
    invalid_lines: Sequence[int]


def read_event_file(path: Path) -> EventFile:
    """Read `{"id": "<ms>-<n>", "name": …, "data": {…}}` lines, in any order."""
    entries: list[Entry] = []
    invalid: list[int] = []
    decoder = msgspec.json.Decoder(_Line)
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    entry = _entry(decoder, text)
                    if entry is None:
                        invalid.append(number)
                    else:
                        entries.append(entry)
    except OSError as error:
        raise ConfigError(f"{without_password(str(path))}: {error.strerror}") from None
    entries.sort()
    return EventFile(entries, invalid)


def _entry(decoder: msgspec.json.Decoder[_Line], text: bytes) -> Entry | None:
    try:
        line = decoder.decode(text)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    entry_id = ENTRY_ID.fullmatch(line.id)
    if entry_id is None:
        return None
    return int(entry_id[1]), int(entry_id[2] or 0), line.name, bytes(line.data)
