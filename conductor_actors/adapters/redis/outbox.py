"""Rows that can't be stored yet, in a stream: many rows an entry, compressed.

A row takes 400 bytes as MessagePack with its field names, which is what lets fields be added, and
20 to 130 of Redis' memory compressed: the longer an outage, the more that matters.
"""

import zlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from conductor_actors.adapters.redis.client import Command, mapped_errors, open_client, pipeline
from conductor_actors.adapters.redis.key_names import OUTBOX_KEY, key_of
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.domain.shards import WHOLE, Shard
from conductor_actors.log_events import OutboxEntryUnreadable, emit
from conductor_actors.ports import SpilledRows

VERSION: Final = b"1"
ENTRY_ROWS: Final = 500
FASTEST: Final = 1


class RedisOutbox:
    """An `Outbox`. An entry that can't be read is said once, and left where it is."""

    def __init__(self, url: str, shard: Shard = WHOLE) -> None:
        self._client = open_client(url)
        self._name = key_of(shard, OUTBOX_KEY)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(list[ScoreRow])
        self._start = "-"

    def append(self, rows: Sequence[ScoreRow]) -> None:
        """Set the rows aside, in one transaction."""
        parts = (rows[first : first + ENTRY_ROWS] for first in range(0, len(rows), ENTRY_ROWS))
        added = [self._xadd(part) for part in parts]
        if added:
            self._ask(("MULTI",), *added, ("EXEC",))

    def oldest(self, count: int) -> SpilledRows:
        """Show about so many rows, oldest first: those of whole entries, one at least."""
        entries = max(1, count // ENTRY_ROWS)
        while found := self._ask(("XRANGE", self._name, self._start, "+", "COUNT", entries)):
            shown = self._readable(found)
            if shown.ids:
                return shown
            self._skip(found[0])
        return SpilledRows((), ())

    def remove(self, stored: SpilledRows) -> None:
        """Delete the entries that `oldest` has returned."""
        if stored.ids:
            self._ask(("XDEL", self._name, *stored.ids))

    def size(self) -> int:
        """Count the entries."""
        return int(self._ask(("XLEN", self._name)))

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _xadd(self, rows: Sequence[ScoreRow]) -> Command:
        body = zlib.compress(self._encoder.encode(rows), FASTEST)
        return ("XADD", self._name, "*", "version", VERSION, "rows", body)

    def _ask(self, *commands: Command) -> Any:  # noqa: ANN401
        """Return the last reply; an error inside of a transaction's reply is one, too."""
        with mapped_errors():
            reply = pipeline(self._client, commands)[-1]
            for each in reply if isinstance(reply, list) else ():
                if isinstance(each, Exception):
                    raise each
        return reply

    def _readable(self, entries: Sequence[Any]) -> SpilledRows:
        """Decode the entries up to the first that can't be read."""
        rows, ids = list[ScoreRow](), list[str]()
        for entry_id, fields in entries:
            try:
                rows += self._decoded(fields)
            except (msgspec.DecodeError, zlib.error, LookupError):
                break
            ids.append(entry_id.decode())
        return SpilledRows(rows, ids)

    def _decoded(self, fields: Sequence[bytes]) -> list[ScoreRow]:
        body = dict(zip(fields[::2], fields[1::2], strict=True))
        if body[b"version"] != VERSION:
            raise LookupError
        return self._decoder.decode(zlib.decompress(body[b"rows"]))

    def _skip(self, entry: Sequence[Any]) -> None:
        entry_id = entry[0].decode()
        self._start = f"({entry_id}"
        emit(
            OutboxEntryUnreadable(
                entry_id=entry_id,
                advice="another version wrote it: run that version until the outbox is drained, or "
                f"delete its rows: XDEL {self._name} {entry_id}",
            )
        )
