"""Exports as Parquet, which the library pyarrow writes, if it is installed."""

import io
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final

from conductor_actors.errors import ConfigError
from conductor_actors.exports.dictionary import ExportTable
from conductor_actors.exports.selections import ExportRecord

ROW_GROUP_ROWS: Final = 20_000  # held in memory, until they are written together

_INSTALL: Final = "pip install 'conductor-actors[parquet]'"


class ParquetUnavailable(ConfigError):  # noqa: N818 - a state
    """The library for Parquet is not installed."""


class ParquetEncoder:
    """Row groups of equal size, compressed; times are microseconds in UTC, `json` is text.

    Raise `ParquetUnavailable` if the library is missing.
    """

    def __init__(self, table: ExportTable) -> None:
        arrow, parquet = _libraries()
        kinds = {
            "timestamp": arrow.timestamp("us", "UTC"),
            "text": arrow.string(),
            "json": arrow.string(),
            "number": arrow.float64(),
            "integer": arrow.int64(),
            "boolean": arrow.bool_(),
        }
        self._arrow: Any = arrow
        self._schema = arrow.schema([(one.name, kinds[one.type]) for one in table.columns])
        self._written = _Written()
        self._writer = parquet.ParquetWriter(self._written, self._schema)
        self._batches: list[Any] = []
        self._rows = 0

    def begin(self) -> bytes:
        """Return the magic number."""
        return self._written.take()

    def encode(self, records: Sequence[ExportRecord]) -> bytes:
        """Return a row group when there are enough records for one."""
        columns = zip(*records, strict=True)
        arrays = [
            self._arrow.array(column, kind)
            for column, kind in zip(columns, self._schema.types, strict=True)
        ]
        self._batches.append(self._arrow.record_batch(arrays, schema=self._schema))
        self._rows += len(records)
        if self._rows >= ROW_GROUP_ROWS:
            self._write_group()
        return self._written.take()

    def end(self) -> bytes:
        """Return the last row group and the footer, without which no reader accepts the file."""
        if self._batches:
            self._write_group()
        self._writer.close()
        return self._written.take()

    def _write_group(self) -> None:
        group = self._arrow.Table.from_batches(self._batches, self._schema)
        self._writer.write_table(group, row_group_size=self._rows)
        self._batches.clear()
        self._rows = 0


class _Written(io.RawIOBase):
    """A file whose contents are taken as they are written."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:  # noqa: ANN401 - whatever has bytes
        self._parts.append(bytes(part))
        self._position += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def _libraries() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - optional, and large
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise ParquetUnavailable(f"Parquet needs the library pyarrow: {_INSTALL}") from None
    return pa, parquet
