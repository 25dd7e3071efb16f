"""`export`: what is in its files, what it refuses, and that they are those of the API."""

import csv
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pyarrow import parquet

from conductor_actors.adapters.postgres.history import export_reader
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.commands import export_rows as command
from conductor_actors.commands.export_rows import export_rows
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.exports.dictionary import TABLES
from tests.support.score_rows import AT_MS, row

TICK_MS = 5000

Export = Callable[..., Path]


@pytest.fixture
def tenant(shared_database: str) -> str:
    """Store three sessions of a tenant: two of an event."""
    tenant = f"t-{uuid4().hex}"
    with closing(PostgresRowStore(shared_database)) as store:
        store.write(
            [
                row(session_id, AT_MS + tick * TICK_MS, tenant_id=tenant, event_id=event_id)
                for session_id, event_id in (("a", "expo"), ("b", "expo"), ("c", "fair"))
                for tick in range(4)
            ]
        )
    return tenant


@pytest.fixture
def export(
    tenant: str, shared_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Export:
    """Export to a file of this name; return its path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", shared_database)

    def run(name: str = "rows.csv", **options: Any) -> Path:
        export_rows(name, **{"tenant": tenant, **options})
        return tmp_path / name

    return run


def cells(path: Path, *columns: str) -> list[tuple[str, ...]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [tuple(line[name] for name in columns) for line in csv.DictReader(file, strict=True)]


def test_a_file_has_the_rows_of_a_session_of_an_event_or_of_a_tenant(export: Export) -> None:
    for options, sessions in (
        ({"session": "b"}, "bbbb"),
        ({"event": "expo"}, "aaaabbbb"),
        ({}, "aaaabbbbcccc"),
        ({"first": "2026-01-04T12:00:05Z", "until": "2026-01-04T12:00:15"}, "aabbcc"),
    ):
        found = [session for (session,) in cells(export(**options), "session_id")]
        assert found == [*sessions], options


@pytest.mark.parametrize("rows_per_page", [1, 3, 5000])
def test_a_file_is_the_same_whatever_the_size_of_pages(
    export: Export, rows_per_page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = export().read_bytes()
    monkeypatch.setattr(command, "ROWS_PER_PAGE", rows_per_page)
    assert export("again.csv").read_bytes() == expected


def test_the_format_is_that_of_the_name_unless_one_is_given(export: Export) -> None:
    assert export("rows.jsonl").read_text().startswith('{"time":')
    assert parquet.read_table(export("rows.parquet")).num_rows == 12
    assert export("rows.txt").read_text().startswith("time,")
    assert export("rows.csv", format_name="jsonl").read_text().startswith('{"time":')
    assert export("excel.csv", excel=True).read_bytes().startswith(b"\xef\xbb\xbftime,")


def test_stdout_has_the_rows_alone_and_stderr_the_progress(
    export: Export, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    expected = export(session="a").read_bytes()
    capfdbinary.readouterr()
    export("-", session="a")
    printed = capfdbinary.readouterr()
    assert printed.out == expected
    assert b"4 rows" in printed.err


@pytest.mark.parametrize("table", TABLES)
def test_every_table_can_be_exported(export: Export, table: str) -> None:
    header = export(table=table, session="c").read_text().splitlines()[0]
    assert header.split(",") == [one.name for one in TABLES[table].columns]


def test_the_dictionary_has_every_column(capsys: pytest.CaptureFixture[str]) -> None:
    export_rows(columns=True)
    printed = capsys.readouterr().out
    for table in TABLES.values():
        assert f"{table.name}: " in printed
        for column in table.columns:
            assert f"  {column.name} " in printed
            assert column.meaning in printed


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"session": "unknown"}, "--session: nothing is stored of unknown"),
        ({"event": "a"}, "--event: nothing is stored of a"),
        ({"session": "a", "event": "expo"}, "--session and --event: choose one"),
        ({"session": ""}, "--session: an id is"),
        ({"event": "\udcff"}, "--event: .* is not UTF-8"),
        ({"tenant": "Acme"}, "--tenant: must match"),
        ({"first": "yesterday"}, "--from: yesterday is no ISO 8601 time"),
        ({"first": "2026-01-05", "until": "2026-01-04"}, "--from: must be before --to"),
        ({"excel": True, "format_name": "jsonl"}, "--excel: only for csv"),
    ],
)
def test_what_is_wrong_is_said_and_no_file_is_written(
    export: Export, options: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=reason):
        export(**options)
    assert list(tmp_path.iterdir()) == []


def test_without_the_library_parquet_is_refused_with_the_line_that_installs_it(
    export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'conductor-actors\[parquet\]'"):
        export("rows.parquet")


def test_a_file_that_can_not_be_completed_is_deleted(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "ROWS_PER_PAGE", 4)
    monkeypatch.setattr(export_reader, "RETRY_PAGE_FOR_S", 0.0)
    original: Callable[..., Any] = export_reader.PostgresExportReader._run
    calls = 0

    async def failing(self: Any, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise Unavailable("the database is away")
        return await original(self, *arguments)

    monkeypatch.setattr(export_reader.PostgresExportReader, "_run", failing)
    with pytest.raises(Unavailable):
        export()
    assert (calls, list(tmp_path.iterdir())) == (3, [])
