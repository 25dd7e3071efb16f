"""The formats of exports: CSV, JSON lines and Parquet, encoded page by page."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec

from conductor_actors.exports.dictionary import ColumnType, ExportTable
from conductor_actors.exports.parquet import ParquetEncoder
from conductor_actors.exports.selections import ExportRecord
from conductor_actors.instants import utc_text

FormatName: TypeAlias = Literal["csv", "jsonl", "parquet"]
MEDIA_TYPES: Final[Mapping[FormatName, str]] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}

BYTE_ORDER_MARK: Final = "\ufeff".encode()  # without it Excel takes UTF-8 for another encoding

# What a spreadsheet would run as a formula, with the full-width forms that some take for these.
_FORMULA_BEGINS: Final = frozenset("=+-@＝＋－＠")  # noqa: RUF001 - meant

_Convert: TypeAlias = Callable[[Any], Any]


class ExportEncoder(Protocol):
    """Encodes one file. The parts that its methods return are the file, in the order of calls."""

    def begin(self) -> bytes:
        """Return the beginning."""

    def encode(self, records: Sequence[ExportRecord]) -> bytes:
        """Return the part with these records; it may be empty, and be part of a later one."""

    def end(self) -> bytes:
        """Return the end; without it the file is not complete."""


def make_encoder(
    format_name: FormatName, table: ExportTable, *, for_excel: bool = False
) -> ExportEncoder:
    """Return the encoder of a file; raise `ParquetUnavailable` if the library is missing.

    `for_excel` adds a byte order mark to CSV.
    """
    match format_name:
        case "csv":
            return CsvEncoder(table, for_excel=for_excel)
        case "jsonl":
            return JsonLinesEncoder(table)
        case "parquet":
            return ParquetEncoder(table)


class CsvEncoder:
    """CSV as RFC 4180 has it: a header, CRLF, and quotes where they are needed. None is empty.

    Text that a spreadsheet would run as a formula, or that begins with a character that is not
    printable, has an apostrophe before it. Numbers are not changed, and exact when read back.
    """

    def __init__(self, table: ExportTable, *, for_excel: bool = False) -> None:
        self._names = [one.name for one in table.columns]
        self._converters = [_CSV_CONVERTERS.get(one.type) for one in table.columns]
        self._mark = BYTE_ORDER_MARK if for_excel else b""

    def begin(self) -> bytes:
        """Return the header."""
        return self._mark + _csv([self._names])

    def encode(self, records: Sequence[ExportRecord]) -> bytes:
        """Return a line for each record."""
        return _csv(zip(*_converted(records, self._converters), strict=True))

    def end(self) -> bytes:
        """Return nothing: the end of CSV has no mark."""
        return b""


class JsonLinesEncoder:
    """An object for each record, on a line of its own; `json` columns are part of it."""

    def __init__(self, table: ExportTable) -> None:
        self._names = [one.name for one in table.columns]
        self._converters = [_JSON_CONVERTERS.get(one.type) for one in table.columns]
        self._encode_lines = msgspec.json.Encoder().encode_lines

    def begin(self) -> bytes:
        """Return nothing: there is no header."""
        return b""

    def encode(self, records: Sequence[ExportRecord]) -> bytes:
        """Return a line for each record."""
        rows = zip(*_converted(records, self._converters), strict=True)
        return self._encode_lines([dict(zip(self._names, row, strict=True)) for row in rows])

    def end(self) -> bytes:
        """Return nothing: the end of JSON lines has no mark."""
        return b""


def harmless(text: str) -> str:
    """Return text that no spreadsheet runs as a formula: with an apostrophe before it if needed."""
    first = text[:1]
    if first.isalnum() or not first:
        return text
    return f"'{text}" if first in _FORMULA_BEGINS or not first.isprintable() else text


_CSV_CONVERTERS: Final[Mapping[ColumnType, _Convert]] = {
    "timestamp": utc_text,
    "text": harmless,
    "json": harmless,
    "boolean": {True: "true", False: "false"}.__getitem__,
}
_JSON_CONVERTERS: Final[Mapping[ColumnType, _Convert]] = {
    "timestamp": utc_text,
    "json": lambda text: msgspec.Raw(text.encode()),
}


def _converted(
    records: Sequence[ExportRecord], converters: Sequence[_Convert | None]
) -> list[Sequence[Any]]:
    """Return the columns of the records, converted; None stays None."""
    columns = zip(*records, strict=True)
    return [
        column
        if convert is None
        else [None if value is None else convert(value) for value in column]
        for column, convert in zip(columns, converters, strict=True)
    ]


def _csv(rows: Any) -> bytes:  # noqa: ANN401 - what the library accepts
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
