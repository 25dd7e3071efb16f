"""The outboxes: streams of rows, and of titles, that the database can't store yet.

A row takes 400 bytes as MessagePack with its field names, by which fields can be added later.
Compressed it takes 20 to 130 bytes of Redis' memory: the longer an outage, the more that matters.
"""

import zlib
from collections.abc import Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.namespaces import prefix_of
from conductor_actors.adapters.redis.connections.pipelines import Command, pipeline, transaction
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.key_names import OUTBOX_KEY, TITLE_OUTBOX_KEY, key_of
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.domain.session_titles import TitleChange
from conductor_actors.log_events import OutboxEntryUnreadable, emit
from conductor_actors.ports import OutboxPage
from conductor_actors.ports.catalog_port import TitlePage

T = TypeVar("T")

OUTBOX_VERSION: Final = b"1"
ROWS_PER_ENTRY: Final = 500
FASTEST_COMPRESSION: Final = 1


class RedisOutbox:
    """An `Outbox`."""

    def __init__(self, url: str, partition: Partition | None = None) -> None:
        self._stream = _ItemStream(url, partition, OUTBOX_KEY, list[ScoreRow])

    def append(self, rows: Sequence[ScoreRow]) -> None:
        """Append the rows in one transaction."""
        self._stream.append(rows)

    def read_oldest(self, count: int) -> OutboxPage:
        """Return about `count` of the oldest rows: those of whole entries, at least one."""
        return OutboxPage(*self._stream.read_oldest(count))

    def delete(self, page: OutboxPage) -> None:
        """Delete the entries of a page."""
        self._stream.delete(page.ids)

    def count_entries(self) -> int:
        """Return the number of entries."""
        return self._stream.count_entries()

    def close(self) -> None:
        """Close every connection."""
        self._stream.close()


class RedisTitleOutbox:
    """A `TitleOutbox`."""

    def __init__(self, url: str, partition: Partition | None = None) -> None:
        self._stream = _ItemStream(url, partition, TITLE_OUTBOX_KEY, list[TitleChange])

    def append(self, changes: Sequence[TitleChange]) -> None:
        """Append the changes in one transaction."""
        self._stream.append(changes)

    def read_oldest(self, count: int) -> TitlePage:
        """Return about `count` of the oldest changes: those of whole entries, at least one."""
        return TitlePage(*self._stream.read_oldest(count))

    def delete(self, page: TitlePage) -> None:
        """Delete the entries of a page."""
        self._stream.delete(page.ids)

    def close(self) -> None:
        """Close every connection."""
        self._stream.close()


class _ItemStream(Generic[T]):
    """A stream of entries with many items each.

    An entry that can't be read is reported once, and left in the stream.
    """

    def __init__(
        self, url: str, partition: Partition | None, key: str, items: type[list[T]]
    ) -> None:
        self._client = open_client(url, partition=partition)
        self._key = key_of(partition, key)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(items)
        self._start = "-"

    def append(self, items: Sequence[T]) -> None:
        """Append the items in one transaction."""
        firsts = range(0, len(items), ROWS_PER_ENTRY)
        entries = [self._xadd(items[first : first + ROWS_PER_ENTRY]) for first in firsts]
        if entries:
            with mapped_errors():
                transaction(self._client, entries)

    def read_oldest(self, count: int) -> tuple[Sequence[T], Sequence[str]]:
        """Return about `count` of the oldest items, and the ids of their entries."""
        limit = max(1, count // ROWS_PER_ENTRY)
        while entries := self._call("XRANGE", self._key, self._start, "+", "COUNT", limit):
            items, ids = self._decoded(entries)
            if ids:
                return items, ids
            self._skip(entries[0][0].decode())
        return (), ()

    def delete(self, ids: Sequence[str]) -> None:
        """Delete entries."""
        if ids:
            self._call("XDEL", self._key, *ids)

    def count_entries(self) -> int:
        """Return the number of entries."""
        return int(self._call("XLEN", self._key))

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _xadd(self, items: Sequence[T]) -> Command:
        body = zlib.compress(self._encoder.encode(items), FASTEST_COMPRESSION)
        return ("XADD", self._key, "*", "version", OUTBOX_VERSION, "rows", body)

    def _call(self, *command: Any) -> Any:  # noqa: ANN401 - as parsed by hiredis
        with mapped_errors():
            return pipeline(self._client, [command])[0]

    def _decoded(self, entries: Sequence[Any]) -> tuple[list[T], list[str]]:
        """Return the items of the entries before the first that can't be read, and their ids."""
        items, ids = list[T](), list[str]()
        for entry_id, fields in entries:
            try:
                items += self._items(fields)
            except (msgspec.DecodeError, zlib.error, LookupError):
                break
            ids.append(entry_id.decode())
        return items, ids

    def _items(self, fields: Sequence[bytes]) -> list[T]:
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
