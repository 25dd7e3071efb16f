"""Recorded events: a range of Redis streams, merged over all names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import NoPermissionError, ResponseError

from conductor_actors.adapters.recordings.event_file import ENTRY_ID, LAST_MS
from conductor_actors.adapters.redis.client import Command, mapped_errors, open_client, pipeline
from conductor_actors.adapters.redis.event_names import EventNames
from conductor_actors.adapters.redis.streams import entries_of
from conductor_actors.domain.intake import Entry
from conductor_actors.domain.merging import Frontier, Merge
from conductor_actors.errors import ConfigError

PAGE: Final = 1000
_END: Final[Frontier] = (1 << 64, 0)  # after every entry there can be


@dataclass(slots=True)
class _Place:
    """How far a stream is read: from where on, and an entry that was there when last seen."""

    start: str
    seen: Frontier
    frontier: Frontier = (0, 0)


class StreamRange:
    """The entries of all names from one id to another, both included, in the order of their ids.

    `now_ms` is Redis' clock: what comes before has been added. `begins_ms` tells since when no
    entry is missing, and is 0 if none was ever trimmed; None: the user may not know. `cut` fills
    with the streams that were trimmed while they were read.
    """

    def __init__(self, url: str, tenants: Sequence[str], first: str, last: str) -> None:
        for entry_id, open_end in ((first, "-"), (last, "+")):
            if entry_id != open_end and ENTRY_ID.fullmatch(entry_id) is None:
                raise ConfigError(f"{entry_id!r} is no stream entry id, e.g. 1767528000000-0")
        self._first, self._last = first, LAST_MS if last == "+" else last
        self._client = open_client(url)
        self.begins_ms: int | None = 0
        self.cut: set[str] = set()
        with mapped_errors():
            names = EventNames(self._client, tenants).current()
            seconds, micros = self._client.time()
            self.now_ms = seconds * 1000 + micros // 1000
            begins = {name: self._begin(name) for name in names}
        self._places = {
            name: _Place(first, begin) for name, begin in begins.items() if begin is not None
        }

    def chunks(self) -> Iterator[Sequence[Entry]]:
        """Read it once, in bounded chunks."""
        merge, places = Merge(), self._places
        while places:
            lowest = min(place.frontier for place in places.values())
            for name in [name for name in places if places[name].frontier <= lowest]:
                entries = self._read(name, places[name])
                merge.add(name, entries)
                if len(entries) < PAGE:
                    del places[name]
            ends = (place.frontier for place in places.values())
            if released := merge.release(min(ends, default=_END)):
                yield released

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _begin(self, name: str) -> Frontier | None:
        """Find out what was trimmed, and give the first entry that should be found.

        None: the name is taken by another kind of key, so that nothing is read from it.
        """
        wanted = _position(self._first)
        try:
            info: Any = self._client.xinfo_stream(name)
        except NoPermissionError:
            self.begins_ms = None
            return _END
        except ResponseError as error:
            if str(error).startswith("WRONGTYPE"):
                return None
            if "no such key" not in str(error):
                raise
            return _END
        first_entry = info["first-entry"]
        there = _position((first_entry[0] if first_entry else info["last-generated-id"]).decode())
        was_trimmed = info.get("entries-added", 0) > info["length"]
        if was_trimmed and there > wanted and self.begins_ms is not None:
            self.begins_ms = max(self.begins_ms, there[0])
        return max(there, wanted) if first_entry else _END

    def _read(self, name: str, place: _Place) -> list[Entry]:
        """Read on in a stream, and look whether what was there when last seen still is."""
        commands: list[Command] = [
            ("XRANGE", name, place.start, self._last, "COUNT", PAGE),
            ("XRANGE", name, "-", "+", "COUNT", 1),
        ]
        with mapped_errors():
            raw_entries, oldest = pipeline(self._client, commands)
        entries = entries_of(name, raw_entries)
        if next((there[:2] for there in entries_of(name, oldest)), _END) > place.seen:
            self.cut.add(name)
        if entries:
            ms, sequence = place.seen = entries[-1][:2]
            place.start, place.frontier = f"({ms}-{sequence}", (ms, sequence + 1)
        return entries


def _position(entry_id: str) -> Frontier:
    if entry_id == "-":
        return 0, 0
    ms, _, sequence = entry_id.partition("-")
    return int(ms), int(sequence or 0)
