"""The `export` command: write stored rows to a file, or print the dictionary of their columns."""

import asyncio
import sys
from contextlib import suppress
from pathlib import PurePath
from typing import Annotated, BinaryIO, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conductor_actors.adapters.postgres.history.export_reader import PostgresExportReader
from conductor_actors.adapters.postgres.history.history_queries import HistoryQueries
from conductor_actors.app.startup import configure, open_servers
from conductor_actors.commands.complete_files import open_complete
from conductor_actors.commands.terminal import STDERR, print_stderr, printable, require_text
from conductor_actors.domain.identity import DEFAULT_TENANT, TENANT
from conductor_actors.errors import ConfigError, Overloaded, Unavailable
from conductor_actors.exports.dictionary import TABLES, TableName
from conductor_actors.exports.formats import ExportEncoder, FormatName, make_encoder
from conductor_actors.exports.selections import ExportReader, ExportSelection
from conductor_actors.instants import from_iso, to_ms

ROWS_PER_PAGE: Final = 5000

_FORMAT_OF_SUFFIX: Final[dict[str, FormatName]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


def export_rows(  # noqa: PLR0913, PLR0917 - each is an option
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="The file to write; - is stdout.")
    ] = None,
    tenant: Annotated[str, typer.Option(help="The tenant.")] = DEFAULT_TENANT,
    session: Annotated[str | None, typer.Option(metavar="ID", help="Only this session.")] = None,
    event: Annotated[
        str | None, typer.Option(metavar="ID", help="Only the sessions of this event.")
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="The earliest time: ISO 8601, UTC.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="The latest time, exclusive.")
    ] = None,
    table: Annotated[TableName, typer.Option(help="Which rows.")] = "engagement_metrics",
    format_name: Annotated[
        FormatName | None,
        typer.Option("--format", help="Default: as FILE ends, else csv. parquet needs pyarrow."),
    ] = None,
    excel: Annotated[
        bool, typer.Option("--excel", help="Begin CSV with the mark by which Excel knows UTF-8.")
    ] = False,
    columns: Annotated[
        bool, typer.Option("--columns", help="Print what the columns mean, and export nothing.")
    ] = False,
) -> None:
    """Write stored rows to a file: of a session, of an event, or of a whole tenant.

    The rows are read page by page, so any number takes the same memory. FILE has its name only
    once it is complete. In CSV, text that a spreadsheet would run as a formula has an apostrophe
    before it; other programs should read JSON lines or Parquet. GET /api/v1/export gives the same
    files.

    Parquet requires:

    pip install 'conductor-actors[parquet]'
    """
    if columns:
        print_columns()
        return
    if file is None:
        raise ConfigError("FILE: name the file to write, or - for stdout")
    format_name = format_name or _FORMAT_OF_SUFFIX.get(PurePath(file).suffix, "csv")
    if excel and format_name != "csv":
        raise ConfigError(f"--excel: only for csv, not for {format_name}")
    encoder = make_encoder(format_name, TABLES[table], for_excel=excel)
    selection = ExportSelection(
        *(TABLES[table], tenant, session, event), _instant("--from", first), _instant("--to", until)
    )
    _check(selection)
    settings = configure(sys.stderr)
    with open_servers(settings, redis=False) as urls, suppress(BrokenPipeError):
        asyncio.run(
            _export(HistoryQueries(urls.database, 1), settings.tick_s, selection, encoder, file)
        )


def print_columns() -> None:
    """Print the dictionary of tables and columns."""
    for table in TABLES.values():
        sys.stdout.write(f"{table.name}: {table.meaning} Rows are ordered {table.order}.\n")
        width = max(len(one.name) for one in table.columns)
        for one in table.columns:
            kind = f"{one.type}, may be null" if one.is_nullable else one.type
            sys.stdout.write(f"  {one.name:{width}}  {one.meaning} ({kind})\n")
        sys.stdout.write("\n")


async def _export(
    queries: HistoryQueries,
    tick_s: int,
    selection: ExportSelection,
    encoder: ExportEncoder,
    name: str,
) -> None:
    await queries.open()
    try:
        reader = PostgresExportReader(queries, tick_s)
        total = await _total(reader, selection)
        with open_complete(name) as file:
            rows = await _write(reader, selection, encoder, file, total)
    except Overloaded as error:  # by the database, because nobody else uses these connections
        raise Unavailable(str(error)) from None
    finally:
        await queries.close()
    print_stderr(f"{rows:,} rows")


async def _total(reader: ExportReader, selection: ExportSelection) -> int | None:
    """Return about how many rows there are; raise `ConfigError` if nothing is known of them."""
    whole = selection._replace(first_ms=None, until_ms=None)
    if not (await reader.measure(whole)).sessions:
        for option, named in (("--session", selection.session_id), ("--event", selection.event_id)):
            if named is not None:
                raise ConfigError(f"{option}: nothing is stored of {printable(named)}")
    return (await reader.measure(selection)).rows


async def _write(
    reader: ExportReader,
    selection: ExportSelection,
    encoder: ExportEncoder,
    file: BinaryIO,
    total: int | None,
) -> int:
    """Write the rows with a progress bar on stderr; return their number."""
    bar = TextColumn("exporting"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    rows = 0
    with Progress(*bar, console=STDERR) as progress:
        task = progress.add_task("", total=total)
        file.write(encoder.begin())
        async for page in reader.pages(selection, ROWS_PER_PAGE):
            file.write(encoder.encode(page))
            rows += len(page)
            progress.update(task, completed=rows)
        file.write(encoder.end())
        progress.update(task, total=rows)  # live sessions go on meanwhile
    return rows


def _check(selection: ExportSelection) -> None:
    if TENANT.fullmatch(selection.tenant_id) is None:
        raise ConfigError(f"--tenant: must match {TENANT.pattern}, e.g. --tenant acme")
    if selection.session_id is not None and selection.event_id is not None:
        raise ConfigError("--session and --event: choose one")
    for option, named in (("--session", selection.session_id), ("--event", selection.event_id)):
        require_text(option, named)
        if named is not None and not 1 <= len(named) <= 255:
            raise ConfigError(f"{option}: an id is text of 1 to 255 characters")
    first_ms, until_ms = selection.first_ms, selection.until_ms
    if first_ms is not None and until_ms is not None and first_ms >= until_ms:
        raise ConfigError("--from: must be before --to")


def _instant(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return to_ms(from_iso(text))
    except (ValueError, OverflowError):
        raise ConfigError(
            f"{option}: {printable(text)} is no ISO 8601 time, e.g. 2026-01-04T12:00:00Z"
        ) from None
