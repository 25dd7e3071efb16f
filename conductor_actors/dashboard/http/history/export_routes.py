"""The HTTP API of exports: stored rows as a file, and the dictionary of its columns."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from conductor_actors.dashboard.access.auth import Caller, Denied
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.http.callers import Callers
from conductor_actors.dashboard.http.export_query import ExportQuery, parse_export
from conductor_actors.dashboard.http.history.export_streams import ExportResponse, ExportStreams
from conductor_actors.dashboard.http.history.history_sources import HistorySources
from conductor_actors.dashboard.http.responder import Responder
from conductor_actors.dashboard.stored_bodies import ColumnBody, ExportColumns, TableBody
from conductor_actors.exports.dictionary import TABLES, ExportTable
from conductor_actors.exports.formats import MEDIA_TYPES, make_encoder
from conductor_actors.exports.parquet import ParquetUnavailable
from conductor_actors.exports.selections import ExportSelection

_EXPOSED: Final = "Content-Disposition"  # to pages of other origins


class ExportRoutes:
    """One handler for each path; each authenticates its caller first."""

    def __init__(
        self, sources: HistorySources, callers: Callers, metrics: DashboardMetrics
    ) -> None:
        self._sources = sources
        self._callers = callers
        self._metrics = metrics
        self._responder = Responder(metrics)
        self._streams = ExportStreams(sources.ports.exports, metrics, sources.clocks.monotonic)

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/api/v1/export", self.export),
            Route("/api/v1/export/columns", self.columns),
        ]

    async def columns(self, request: Request) -> Response:
        """Return the dictionary of tables and columns."""
        await self._callers.caller(request)
        return self._responder.json(ExportColumns([_table_body(one) for one in TABLES.values()]))

    async def export(self, request: Request) -> Response:
        """Return the rows as a file, as they are read."""
        caller = await self._callers.caller(request)
        if request.scope["http_version"] == "1.0":
            raise Denied(
                *(426, "http_1_1_required"),
                "with HTTP/1.0 no client notices that a file is not complete; use HTTP/1.1, e.g. "
                "proxy_http_version 1.1 in a reverse proxy",
            )
        requested = parse_export(request.query_params)
        selection = await self._selection(caller, requested)
        try:
            encoder = make_encoder(
                requested.format, requested.table, for_excel=requested.is_for_excel
            )
        except ParquetUnavailable as error:
            raise Denied(501, "parquet_unavailable", str(error)) from None
        await self._check_known(selection)
        headers = _headers(requested)
        self._metrics.requests.labels("200").inc()
        if request.method == "HEAD":
            return Response(headers=headers)
        return ExportResponse(await self._streams.begin(selection, encoder), headers)

    async def _selection(self, caller: Caller, requested: ExportQuery) -> ExportSelection:
        """Return what is exported: of the tenant, only what the caller can see."""
        session_ids = None
        if requested.session_id is not None:
            await self._callers.check_access(caller, requested.session_id)
        else:
            session_ids = await self._callers.access.visible(caller)
        return ExportSelection(
            *(requested.table, caller.tenant, requested.session_id, requested.event_id),
            *(requested.first_ms, requested.until_ms, session_ids),
        )

    async def _check_known(self, selection: ExportSelection) -> None:
        """Raise `Denied` for a session or event without rows; without either, none is no error."""
        if selection.session_id is None and selection.event_id is None:
            return
        whole = selection._replace(first_ms=None, until_ms=None)
        size = await self._sources.calls.call(lambda: self._sources.ports.exports.measure(whole))
        if not size.sessions:
            kind = "session" if selection.session_id is not None else "event"
            raise Denied(404, f"unknown_{kind}", f"nothing is stored of this {kind}")


def _headers(requested: ExportQuery) -> dict[str, str]:
    return {
        "Content-Type": MEDIA_TYPES[requested.format],
        "Content-Disposition": f'attachment; filename="{requested.file_name}"',
        "Cache-Control": "no-store",
        "Access-Control-Expose-Headers": _EXPOSED,
    }


def _table_body(table: ExportTable) -> TableBody:
    columns = [
        ColumnBody(one.name, one.type, one.is_nullable, one.meaning) for one in table.columns
    ]
    return TableBody(table.name, table.meaning, table.order, columns)
