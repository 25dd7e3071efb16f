"""The outbox: a stream of rows that the database can't store yet, many rows an entry.

A row takes 400 bytes as MessagePack with its field names, by which fields can be added later.
Compressed it takes 20 to 130 bytes of Redis' memory: the longer an outage, the more that matters.
"""

import zlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.namespaces import prefix_of
from conductor_actors.adapters.redis.connections.pipelines import Command, pipeline, transaction
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.key_names import OUTBOX_KEY, key_of
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.domain.shards import SINGLE_SHARD, Shard
from conductor_actors.log_events import OutboxEntryUnreadable, emit
from conductor_actors.ports import OutboxPage

OUTBOX_VERSION: Final = b"1"
ROWS_PER_ENTRY: Final = 500
FASTEST_COMPRESSION: Final = 1


class RedisOutbox:
    """An `Outbox`. An entry that can't be read is reported once, and left in the stream."""

    def __init__(self, url: str, shard: Shard = SINGLE_SHARD) -> None:
        self._client = open_client(url)
        self._key = key_of(shard, OUTBOX_KEY)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(list[ScoreRow])
        self._start = "-"

    def append(self, rows: Sequence[ScoreRow]) -> None:
        """Append the rows in one transaction."""
        firsts = range(0, len(rows), ROWS_PER_ENTRY)
        entries = [self._xadd(rows[first : first + ROWS_PER_ENTRY]) for first in firsts]
        if entries:
            with mapped_errors():
                transaction(self._client, entries)

    def read_oldest(self, count: int) -> OutboxPage:
        """Return about `count` of the oldest rows: those of whole entries, at least one."""
        limit = max(1, count // ROWS_PER_ENTRY)
        while entries := self._call("XRANGE", self._key, self._start, "+", "COUNT", limit):
            page = self._decoded(entries)
            if page.ids:
                return page
            self._skip(entries[0][0].decode())
        return OutboxPage((), ())

    def delete(self, page: OutboxPage) -> None:
        """Delete the entries of a page."""
        if page.ids:
            self._call("XDEL", self._key, *page.ids)

    def count_entries(self) -> int:
        """Return the number of entries."""
        return int(self._call("XLEN", self._key))

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _xadd(self, rows: Sequence[ScoreRow]) -> Command:
        body = zlib.compress(self._encoder.encode(rows), FASTEST_COMPRESSION)
        return ("XADD", self._key, "*", "version", OUTBOX_VERSION, "rows", body)

    def _call(self, *command: Any) -> Any:  # noqa: ANN401 - as parsed by hiredis
        with mapped_errors():
            return pipeline(self._client, [command])[0]

    def _decoded(self, entries: Sequence[Any]) -> OutboxPage:
        """Return the rows of the entries before the first that can't be read."""
        rows, ids = list[ScoreRow](), list[str]()
        for entry_id, fields in entries:
            try:
                rows += self._rows(fields)
            except (msgspec.DecodeError, zlib.error, LookupError):
                break
            ids.append(entry_id.decode())
        return OutboxPage(rows, ids)

    def _rows(self, fields: Sequence[bytes]) -> list[ScoreRow]:
        body = dict(zip(fields[::2], fields[1::2], strict=True))
        if body[b"version"] != OUTBOX_VERSION:
            raise LookupError
        return self._decoder.decode(zlib.decompress(body[b"rows"]))

    def _skip(self, entry_id: str) -> None:
        self._start = f"({entry_id}"
        emit(
            OutboxEntryUnreadable(
                entry_id=entry_id,
                advice="another version wrote it: run that version until the outbox is drained, or "
                f"delete its rows: XDEL {prefix_of(self._client)}{self._key} {entry_id}",
            )
        )
