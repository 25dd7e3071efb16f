"""The recording that `replay` scores: the entries of a file or of Redis streams, in order."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from math import inf
from pathlib import Path
from typing import Final, NamedTuple

from conductor_actors.adapters.recordings.event_file import read_event_file
from conductor_actors.adapters.recordings.stream_range import StreamRange
from conductor_actors.adapters.redis.connections.namespaces import with_namespace
from conductor_actors.commands.terminal import print_stderr
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.identity import DEFAULT_TENANT, EVERY_TENANT
from conductor_actors.errors import ConfigError
from conductor_actors.instants import from_iso, to_iso, to_ms
from conductor_actors.settings import Settings

FILE_CHUNK_ENTRIES: Final = 10_000  # the progress bar is updated after each chunk

_ENTRY_ID: Final = re.compile(r"[0-9]{1,19}(-[0-9]{1,19})?")
_EXAMPLE_LINE: Final = '{"id": "1767528000003-0", "name": "sync-events", "data": {…}}'


class Recording(NamedTuple):
    """Entries in order, and the time range in which none is missing.

    `first_ms` is the requested start; None means from the first entry. No entry between
    `complete_from_ms` and `until_ms` is missing. `tenants` are those that were read; None means
    all. `total` counts the entries, if it is known before they are read.
    """

    chunks: Iterable[Sequence[Entry]]
    total: int | None
    first_ms: int | None
    complete_from_ms: int
    until_ms: int
    tenants: Sequence[str] | None = None


@contextmanager
def open_recording(source: str, settings: Settings, first: str, last: str) -> Iterator[Recording]:
    """Open a file or the streams of a Redis; print what is missing or invalid on stderr."""
    first, last = _entry_id(first, "-"), _entry_id(last, "+")
    if "://" not in source:
        yield _file_recording(source, first, last)
        return
    url = with_namespace(source, settings.namespace)
    with closing(StreamRange(url, settings.tenants, first, last)) as stream_range:
        try:
            yield _stream_recording(stream_range, settings.tenants, first, last)
        finally:
            for name in sorted(stream_range.trimmed):
                print_stderr(f"{name} was trimmed while it was read: entries may be missing")


def _file_recording(name: str, first: str, last: str) -> Recording:
    """Read a file. It is complete until the requested end, or else until its last entry."""
    file = read_event_file(Path(name))
    if file.invalid_lines:
        print_stderr(
            f"{name}: {len(file.invalid_lines)} lines are not recorded events, "
            f"first line {file.invalid_lines[0]}"
        )
        if not file.entries:
            raise ConfigError(f"{name}: no line is a recorded event, e.g. {_EXAMPLE_LINE}")
    lowest, highest = _position(first, 0), _position(last, inf)
    entries = [entry for entry in file.entries if lowest <= entry[:2] <= highest]
    starts = range(0, len(entries), FILE_CHUNK_ENTRIES)
    chunks = (entries[start : start + FILE_CHUNK_ENTRIES] for start in starts)
    until_ms = _end_ms(last) or (entries[-1][0] if entries else 0)
    return Recording(chunks, len(entries), _first_ms(first), 0, until_ms)


def _stream_recording(
    stream_range: StreamRange, tenants: Sequence[str], first: str, last: str
) -> Recording:
    if stream_range.begins_ms is None:
        print_stderr("can't check for trimmed entries: grant +xinfo|stream to the Redis user")
    until_ms = min(stream_range.now_ms, _end_ms(last) or stream_range.now_ms)
    for name in sorted(stream_range.ahead if last == "+" else ()):
        print_stderr(
            f"{name} has entries ahead of Redis' clock, which are left out until their time comes; "
            "the service counted them when it read them, and marked these rows"
        )
    read = None if EVERY_TENANT in tenants else [DEFAULT_TENANT, *tenants]
    begins_ms = stream_range.begins_ms or 0
    if begins_ms:
        print_stderr(f"the streams were trimmed: entries before {to_iso(begins_ms)} are missing")
    return Recording(stream_range.chunks(), None, _first_ms(first), begins_ms, until_ms, read)


def _entry_id(text: str, open_end: str) -> str:
    """Return the entry id for an option's text, which is an entry id or an ISO 8601 time."""
    if text == open_end or _ENTRY_ID.fullmatch(text):
        return text
    try:
        return str(to_ms(from_iso(text)))
    except ValueError:
        raise ConfigError(
            f"{text!r} is neither a stream entry id nor a time, e.g. 2026-01-04T12:00:00Z"
        ) from None


def _position(entry_id: str, sequence: float) -> tuple[float, float]:
    """Return an end of the range as a position; `sequence` completes an id without one."""
    if entry_id in ("-", "+"):
        return (-inf if entry_id == "-" else inf), sequence
    ms, _, number = entry_id.partition("-")
    return int(ms), int(number) if number else sequence


def _first_ms(first: str) -> int | None:
    return None if first == "-" else int(first.partition("-")[0])


def _end_ms(last: str) -> int | None:
    """Return the time before which no entry is excluded by this end; None if the end is open."""
    if last == "+":
        return None
    ms, _, sequence = last.partition("-")
    return int(ms) + (not sequence)
