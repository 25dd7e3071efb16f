"""Exports while they run: an error, a client that leaves or does not read, and limits."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any
from uuid import uuid4

import httpx
import pytest
from structlog.typing import EventDict

from conductor_actors.adapters.postgres.history import export_reader
from conductor_actors.adapters.postgres.history.history_queries import HistoryQueries
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.http.history import export_streams
from conductor_actors.dashboard.http.history.export_streams import (
    MAX_EXPORTS,
    MAX_EXPORTS_PER_TENANT,
    ExportParts,
    ExportStreams,
)
from conductor_actors.errors import Overloaded, Unavailable
from conductor_actors.exports.formats import CsvEncoder
from conductor_actors.exports.selections import ExportRecord, ExportSelection, ExportSize
from tests.dashboard.conftest import Serve
from tests.dashboard.conftest import metric as metric_of
from tests.dashboard.http.conftest import error
from tests.dashboard.raw import RawSocket
from tests.exports.sample_records import METRICS, metric
from tests.support.bulk_rows import insert_bulk_rows

pytestmark = pytest.mark.anyio

SELECTION = ExportSelection(METRICS, "acme")


class Pages:
    """A reader with the given pages; one of them may be an error. Counts those that are read."""

    def __init__(self, *pages: Sequence[ExportRecord] | Exception) -> None:
        self._pages = pages
        self.read = 0
        self.is_closed = False

    async def measure(self, _: ExportSelection) -> ExportSize:
        return ExportSize(1, None)

    async def pages(
        self, _: ExportSelection, __: int
    ) -> AsyncGenerator[Sequence[ExportRecord], None]:
        try:
            for page in self._pages:
                self.read += 1
                if isinstance(page, Exception):
                    raise page
                yield page
        finally:
            self.is_closed = True


def streams(reader: Pages) -> ExportStreams:
    return ExportStreams(reader, DashboardMetrics(), time.monotonic)


async def begin(exports: ExportStreams, tenant: str = "acme") -> ExportParts:
    return await exports.begin(SELECTION._replace(tenant_id=tenant), CsvEncoder(METRICS))


def outcomes(lines: list[EventDict]) -> list[str]:
    return [line["outcome"] for line in lines if line["event"] == "export_ended"]


async def test_pages_are_read_when_the_client_wants_them(
    log_lines: list[EventDict],
) -> None:
    reader = Pages(*[[metric(number)] for number in range(5)])
    parts = await begin(streams(reader))
    assert reader.read == 1
    await anext(parts)
    await anext(parts)
    assert reader.read == 2
    rest = [part async for part in parts]
    assert reader.read == 5
    assert len(rest) == 4
    assert outcomes(log_lines) == ["completed"]


async def test_what_the_first_page_raises_is_raised_before_a_response_begins(
    log_lines: list[EventDict],
) -> None:
    exports = streams(Pages(Unavailable("away")))
    with pytest.raises(Unavailable):
        await begin(exports)
    assert (len(exports), outcomes(log_lines)) == (0, ["failed"])


async def test_what_a_later_page_raises_ends_the_parts(log_lines: list[EventDict]) -> None:
    exports = streams(Pages([metric()], Unavailable("away")))
    parts = await begin(exports)
    await anext(parts)
    with pytest.raises(Unavailable):
        await anext(parts)
    assert (len(exports), outcomes(log_lines)) == (0, ["failed"])


async def test_when_the_client_leaves_nothing_more_is_read(
    log_lines: list[EventDict],
) -> None:
    reader = Pages(*[[metric(number)] for number in range(5)])
    exports = streams(reader)
    parts = await begin(exports)
    await parts.aclose()
    assert (reader.read, reader.is_closed, len(exports)) == (1, True, 0)
    assert outcomes(log_lines) == ["client_left"]


async def test_a_tenant_and_all_together_have_a_limit() -> None:
    exports = streams(Pages([metric()], [metric()]))
    running = [await begin(exports) for _ in range(MAX_EXPORTS_PER_TENANT)]
    with pytest.raises(Overloaded):
        await begin(exports)
    others = range(MAX_EXPORTS - MAX_EXPORTS_PER_TENANT)
    running += [await begin(exports, f"tenant-{number}") for number in others]
    with pytest.raises(Overloaded):
        await begin(exports, "another")
    for parts in running:
        await parts.aclose()
    assert (len(exports), exports._running) == (0, {})


async def test_pages_of_several_exports_are_encoded_one_at_a_time_and_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(export_streams, "PAUSE_PER_PAGE", 0.0)
    encoding: list[str] = []
    together = 0

    class Encoder(CsvEncoder):
        def __init__(self, name: str) -> None:
            super().__init__(METRICS)
            self._name = name

        def encode(self, records: Sequence[ExportRecord]) -> bytes:
            nonlocal together
            together += 1
            assert together == 1
            time.sleep(0.01)
            encoding.append(self._name)
            together -= 1
            return super().encode(records)

    exports = streams(Pages(*[[metric(number)] for number in range(4)]))

    async def run(name: str) -> None:
        async for _ in await exports.begin(SELECTION, Encoder(name)):
            pass

    await asyncio.gather(run("a"), run("b"))
    assert encoding == ["a", "b"] * 4


@pytest.fixture
def many(serve: Serve, shared_database: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a dashboard, and the address of an export of 20,000 rows."""
    monkeypatch.setattr(export_reader, "RETRY_PAGE_FOR_S", 0.2)
    monkeypatch.setattr(export_reader, "RETRY_PAGE_INTERVAL_S", 0.05)
    tenant = f"t-{uuid4().hex}"
    insert_bulk_rows(shared_database, 20, 1000, tenant)
    dashboard = serve()
    return dashboard, f"{dashboard.address}api/v1/export?tenant={tenant}"


def test_an_error_in_the_middle_is_an_error_for_the_client_too(
    many: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dashboard, url = many
    original: Callable[..., Any] = export_reader.PostgresExportReader._run
    calls = 0

    async def failing(self: Any, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 4:
            raise Unavailable("the database is away")
        return await original(self, *arguments)

    monkeypatch.setattr(export_reader.PostgresExportReader, "_run", failing)
    with httpx.stream("GET", url) as response:
        assert response.status_code == 200
        chunks = response.iter_bytes()
        assert next(chunks)
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            list(chunks)
    assert metric_of(dashboard, "exports_total", outcome="failed") == 1
    refused = httpx.get(url)
    assert error(refused) == (503, "database_unavailable")


def test_a_page_that_can_not_be_read_at_once_is_read_again(
    many: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url = many
    expected = httpx.get(url).content
    original: Callable[..., Any] = HistoryQueries.run
    calls = 0

    async def flickering(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            raise (Unavailable if calls % 2 else Overloaded)("not now")
        return await original(self, *arguments, **options)

    monkeypatch.setattr(HistoryQueries, "run", flickering)
    assert httpx.get(url).content == expected
    assert calls > 10


def test_a_client_that_leaves_ends_its_export(many: Any) -> None:
    dashboard, url = many
    with RawSocket(dashboard.address, receive_buffer=4096) as client:
        head = f"GET {url.removeprefix(dashboard.address.rstrip('/'))} HTTP/1.1\r\n"
        client.send(f"{head}Host: {client.host}\r\n\r\n".encode())
        assert b"200 OK" in client.receive()
        assert metric_of(dashboard, "exports_total", outcome="client_left") == 0
    until_s = time.monotonic() + 10
    while metric_of(dashboard, "exports_total", outcome="client_left") == 0:
        assert time.monotonic() < until_s
        time.sleep(0.02)
    assert metric_of(dashboard, "exports_total", outcome="completed") == 0


def test_a_client_that_reads_slowly_holds_few_pages_in_memory(many: Any) -> None:
    dashboard, url = many
    reads: list[int] = []
    original: Callable[..., Any] = export_reader.PostgresExportReader._run

    async def counted(self: Any, *arguments: Any) -> Any:
        reads.append(1)
        return await original(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_reader.PostgresExportReader, "_run", counted)
        with RawSocket(dashboard.address, receive_buffer=4096) as client:
            head = f"GET {url.removeprefix(dashboard.address.rstrip('/'))} HTTP/1.1\r\n"
            client.send(f"{head}Host: {client.host}\r\n\r\n".encode())
            client.receive()
            time.sleep(1.0)
            assert len(reads) <= 5  # of 12
