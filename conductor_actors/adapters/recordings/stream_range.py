"""Read recorded events from a range of Redis streams, merged over all names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import NoPermissionError, ResponseError

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.namespaces import prefix_of
from conductor_actors.adapters.redis.connections.pipelines import Command, pipeline, server_time_ms
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.events.ahead_entries import MAX_AHEAD_MS
from conductor_actors.adapters.redis.events.entry_ids import (
    ENTRY_ID,
    format_id,
    next_id,
    parse_id,
)
from conductor_actors.adapters.redis.events.event_names import EventNames
from conductor_actors.adapters.redis.events.raw_entries import entries_of
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.events import UNSCORED_NAMES
from conductor_actors.domain.merging import Frontier, Merge
from conductor_actors.errors import ConfigError

ENTRIES_PER_PAGE: Final = 1000
_END: Final[Frontier] = (1 << 64, 0)  # after every possible entry


@dataclass(slots=True)
class _Progress:
    """Where to read on in a stream, and its last entry known to have existed."""

    start: str
    known: Frontier
    frontier: Frontier = (0, 0)


class StreamRange:
    """The entries of all names from one id to another, both included, in the order of their ids.

    `first` may be `-` and `last` may be `+`. `now_ms` is Redis' time: every entry before it has
    been added. No entry at or after `begins_ms` is missing: 0 if none was ever trimmed, None if the
    user may not find out. `trimmed` lists the streams that were trimmed while they were read, and
    `ahead` those with entries more than 10 s ahead of Redis' clock, which an open end leaves out.
    """

    def __init__(self, url: str, tenants: Sequence[str], first: str, last: str) -> None:
        for entry_id, open_end in ((first, "-"), (last, "+")):
            if entry_id != open_end and ENTRY_ID.fullmatch(entry_id) is None:
                raise ConfigError(f"{entry_id!r} is no stream entry id, e.g. 1767528000000-0")
        self._first, self._last = "0" if first == "-" else first, last
        self._client = open_client(url, is_replica_allowed=True)
        self.begins_ms: int | None = 0
        self.trimmed: set[str] = set()
        self.ahead: set[str] = set()
        with mapped_errors():
            names = EventNames(self._client, tenants).current()
            [time] = pipeline(self._client, [("TIME",)])
            self.now_ms = server_time_ms(time)
            if last == "+":
                self._last = str(self.now_ms + MAX_AHEAD_MS)
            begins = {name: self._begin(name) for name in names}
        self._streams = {
            name: _Progress(self._first, begin)
            for name, begin in begins.items()
            if begin is not None
        }

    def chunks(self) -> Iterator[Sequence[Entry]]:
        """Return all entries in bounded chunks; they can be read once."""
        merge, streams = Merge(), self._streams
        while streams:
            lowest = min(progress.frontier for progress in streams.values())
            for name in [name for name in streams if streams[name].frontier <= lowest]:
                entries = self._read_page(name, streams[name])
                merge.add(name, entries)
                if len(entries) < ENTRIES_PER_PAGE:
                    del streams[name]
            frontiers = (progress.frontier for progress in streams.values())
            if released := merge.release(min(frontiers, default=_END)):
                yield released

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _begin(self, name: str) -> Frontier | None:
        """Return the id of the first entry to expect, and update `begins_ms`.

        None means that the key is not a stream: it is not read.
        """
        first = parse_id(self._first.encode())
        try:
            info: Any = self._client.xinfo_stream(prefix_of(self._client) + name)
        except NoPermissionError:
            self.begins_ms = None
            return _END
        except ResponseError as error:
            if str(error).startswith("WRONGTYPE"):
                return None
            if "no such key" not in str(error):
                raise
            return _END
        first_entry, last_entry = info["first-entry"], info["last-entry"]
        if last_entry and parse_id(last_entry[0])[0] > self.now_ms + MAX_AHEAD_MS:
            self.ahead.add(name)
        oldest = parse_id(first_entry[0] if first_entry else info["last-generated-id"])
        was_trimmed = info.get("entries-added", 0) > info["length"]
        is_scored = not name.endswith(UNSCORED_NAMES)
        if is_scored and was_trimmed and oldest > first and self.begins_ms is not None:
            self.begins_ms = max(self.begins_ms, oldest[0])
        return max(oldest, first) if first_entry else _END

    def _read_page(self, name: str, progress: _Progress) -> list[Entry]:
        """Return the next page of a stream, and check that its last known entry still exists."""
        commands: list[Command] = [
            ("XRANGE", name, progress.start, self._last, "COUNT", ENTRIES_PER_PAGE),
            ("XRANGE", name, "-", "+", "COUNT", 1),
        ]
        with mapped_errors():
            raw_entries, oldest = pipeline(self._client, commands)
        entries = entries_of(name, raw_entries)
        was_trimmed = next((entry[:2] for entry in entries_of(name, oldest)), _END) > progress.known
        if was_trimmed and not name.endswith(UNSCORED_NAMES):
            self.trimmed.add(name)
        if entries:
            progress.known = entries[-1][:2]
            progress.start = f"({format_id(progress.known).decode()}"
            progress.frontier = next_id(progress.known)
        return entries
