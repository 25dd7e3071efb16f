"""Write and read rows as CSV, with the columns of `engagement_metrics` except `metadata`."""

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, TextIO

from conductor_actors.adapters.server_urls import without_password
from conductor_actors.domain.comparisons.row_comparison import Record
from conductor_actors.domain.rows import COLUMNS, VALUE_TYPES, ScoreRecord, record_of
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError
from conductor_actors.instants import to_iso, to_ms

_CONVERTERS: Final = tuple(VALUE_TYPES.values())  # str, float, int


class CsvRows:
    """Write rows to a file. Times are ISO 8601 in UTC; numbers are exact when read back."""

    def __init__(self, file: TextIO) -> None:
        self._plain = csv.writer(file, lineterminator="\n")
        # The plain writer does not quote a carriage return, which the reader takes for a newline.
        self._quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        self._plain.writerow(COLUMNS)

    def write(self, rows: Sequence[ScoreRow]) -> None:
        """Write one line for each row."""
        at_ms, time = -1, ""
        for row in rows:
            if row.at_ms != at_ms:
                at_ms, time = row.at_ms, to_iso(row.at_ms, utc="+00:00")
            has_return = "\r" in row.session_id or "\r" in row.event_id
            line = record_of(row, time)
            (self._quoting if has_return else self._plain).writerow(line)


def read_rows(path: Path, first_ms: int, last_ms: int) -> Iterator[Record]:
    """Return the rows of these ticks, both included, from a file that is ordered by time.

    Raise `ConfigError` if the file can't be read, or is not in order.
    """
    number, before_ms = 0, 0
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            if tuple(next(lines, ())) != COLUMNS:
                raise ConfigError(f"{path}: its first line is not {','.join(COLUMNS)}")
            for number, line in enumerate(lines, 1):
                record = _record(line)
                if record.time < before_ms:
                    raise ConfigError(f"{path}: row {number} is older than the one before it")
                before_ms = record.time
                if first_ms <= before_ms <= last_ms:
                    yield record
    except OSError as error:
        raise ConfigError(f"{without_password(str(path))}: {error.strerror}") from None
    except (ValueError, TypeError, csv.Error):
        raise ConfigError(f"{path}: row {number} can't be read") from None


def _record(line: Sequence[str]) -> Record:
    time, *texts = line
    values = (convert(text) for convert, text in zip(_CONVERTERS, texts, strict=True))
    return ScoreRecord(to_ms(datetime.fromisoformat(time)), *values)
