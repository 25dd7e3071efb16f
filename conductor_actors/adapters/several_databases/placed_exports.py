"""Exports of sessions that are in several databases."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any

from conductor_actors.adapters.several_databases.placement import Placed
from conductor_actors.domain.identity import SessionKey
from conductor_actors.exports.selections import ExportRecord, ExportSelection, ExportSize
from conductor_actors.ports.history_port import HistoryPorts

Pages = AsyncGenerator[Sequence[ExportRecord], None]


class PlacedExportReader:
    """An `ExportReader`."""

    def __init__(self, placed: Placed[HistoryPorts]) -> None:
        self._placed = placed

    async def measure(self, selection: ExportSelection) -> ExportSize:
        """Return the size of an export of all databases."""
        sizes = [await ports.exports.measure(selection) for ports in self._ports(selection)]
        rows = [size.rows for size in sizes if size.rows is not None]
        is_known = len(rows) == len(sizes)
        return ExportSize(sum(size.sessions for size in sizes), sum(rows) if is_known else None)

    async def pages(self, selection: ExportSelection, page_rows: int) -> Pages:
        """Return the rows in pages: by time, or of each database those by session."""
        names = [column.name for column in selection.table.columns]
        all_pages = [ports.exports.pages(selection, page_rows) for ports in self._ports(selection)]
        async with AsyncExitStack() as stack:
            for pages in all_pages:
                await stack.enter_async_context(aclosing(pages))
            if "id" not in names:
                for pages in all_pages:
                    async for page in pages:
                        yield page
                return
            key = names.index(selection.table.time_column), names.index("id")
            async for page in _merged(all_pages, key):
                for begin in range(0, len(page), page_rows):
                    yield page[begin : begin + page_rows]

    def _ports(self, selection: ExportSelection) -> Sequence[HistoryPorts]:
        if selection.session_id is None:
            return self._placed.ports
        return [self._placed.of(SessionKey(selection.tenant_id, selection.session_id))]


async def _merged(all_pages: Sequence[Pages], columns: tuple[int, int]) -> Pages:
    """Merge pages, each in the order of two columns; those that are yielded may be longer."""

    def key(record: ExportRecord) -> tuple[Any, str]:
        return record[columns[0]], str(record[columns[1]])

    waiting = {number: list[ExportRecord]() for number in range(len(all_pages))}
    while waiting:
        for number in [number for number, records in waiting.items() if not records]:
            page = await anext(all_pages[number], None)
            if page is None:
                del waiting[number]
            else:
                waiting[number] = [*page]
        if not waiting:
            return
        until = min(key(records[-1]) for records in waiting.values())
        ready = []
        for number, records in waiting.items():
            count = sum(key(record) <= until for record in records)
            ready += records[:count]
            waiting[number] = records[count:]
        yield sorted(ready, key=key)
