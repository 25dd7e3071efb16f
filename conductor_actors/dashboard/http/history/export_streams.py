"""Exports as streams of bytes, page by page, so that none costs memory or delays live scores."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Final

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.errors import Overloaded
from conductor_actors.exports.formats import ExportEncoder
from conductor_actors.exports.selections import ExportReader, ExportRecord, ExportSelection
from conductor_actors.log_events import ExportEnded, emit
from conductor_actors.ports import Clock

PAGE_ROWS: Final = 2000
MAX_EXPORTS: Final = 64
MAX_EXPORTS_PER_TENANT: Final = 16
PAUSE_PER_PAGE: Final = 3.0  # times the time to encode it: it uses a quarter of a core


class ExportStreams:
    """Runs exports. They are encoded on a thread, one page of one export at a time.

    `clock` is monotonic.
    """

    def __init__(self, reader: ExportReader, metrics: DashboardMetrics, clock: Clock) -> None:
        self._reader = reader
        self._metrics = metrics
        self._clock = clock
        self._encoding = asyncio.Lock()
        self._running: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._running.total()

    async def begin(self, selection: ExportSelection, encoder: ExportEncoder) -> "ExportParts":
        """Return the parts of a file, the first of which is read already.

        Raise what reading it raises, and `Overloaded` if too many exports run. If a later page
        can't be read, the parts end with the error.
        """
        running, tenant = self._running, selection.tenant_id
        if len(self) >= MAX_EXPORTS or running[tenant] >= MAX_EXPORTS_PER_TENANT:
            raise Overloaded("too many exports at once")
        parts = ExportParts(self._parts(selection, encoder))
        await parts.read_first()
        return parts

    async def _parts(
        self, selection: ExportSelection, encoder: ExportEncoder
    ) -> AsyncGenerator[bytes, None]:
        with self._recorded(selection) as counts:
            part = encoder.begin()
            async with aclosing(self._reader.pages(selection, PAGE_ROWS)) as pages:
                async for page in pages:
                    part += await self._encode(encoder, page)
                    counts.rows += len(page)
                    if part:
                        counts.sent += len(part)
                        yield part
                        part = b""
            part += encoder.end()
            counts.sent += len(part)
            yield part

    @contextmanager
    def _recorded(self, selection: ExportSelection) -> Iterator["_Counts"]:
        """Count an export as running in the block, and report how it ended."""
        tenant, began_s, counts, outcome = selection.tenant_id, self._clock(), _Counts(), "failed"
        self._running[tenant] += 1
        try:
            yield counts
            outcome = "completed"
        except (GeneratorExit, asyncio.CancelledError):
            outcome = "client_left"
            raise
        finally:
            self._running -= Counter({tenant: 1})  # drops the tenant at zero
            self._metrics.exports.labels(outcome).inc()
            emit(
                ExportEnded(
                    tenant=tenant,
                    table=selection.table.name,
                    outcome=outcome,
                    rows=counts.rows,
                    bytes=counts.sent,
                    duration_s=self._clock() - began_s,
                )
            )

    async def _encode(self, encoder: ExportEncoder, page: Sequence[ExportRecord]) -> bytes:
        """Encode a page on a thread, then pause: other threads of this process need the core."""
        async with self._encoding:
            began_s = self._clock()
            part = await asyncio.to_thread(encoder.encode, page)
            await asyncio.sleep((self._clock() - began_s) * PAUSE_PER_PAGE)
        return part


@dataclass
class _Counts:
    """What was sent of an export so far."""

    rows: int = 0
    sent: int = 0


class ExportParts(AsyncIterator[bytes]):
    """The parts of a file. The first is read before the response begins, while it can be refused.

    If a later one can't be read, iteration raises the error.
    """

    def __init__(self, parts: AsyncGenerator[bytes, None]) -> None:
        self._parts = parts
        self._first: bytes | None = None

    async def read_first(self) -> None:
        """Read the first part; raise what reading it raises."""
        self._first = await anext(self._parts)

    async def __anext__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return await anext(self._parts)

    async def aclose(self) -> None:
        """Stop reading."""
        await self._parts.aclose()


class ExportResponse(StreamingResponse):
    """Sends a file. If it can't be completed, the connection is aborted: no client can mistake it.

    The parts are closed as soon as the client is gone.
    """

    def __init__(self, parts: ExportParts, headers: dict[str, str]) -> None:
        super().__init__(parts, headers=headers)
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; raise what ended the parts, whereupon the server aborts it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._parts.aclose()
