"""The fake service's part of what is read afterwards: events, reports and exports."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from tests.dashboard.fake_conductor import Endpoint, refusal
from tests.dashboard.sample_bodies import Body

_TYPES: Final = {"csv": "text/csv", "jsonl": "application/jsonl", "parquet": "application/parquet"}
_COLUMNS: Final = {
    "tables": [
        {
            "name": table,
            "description": f"The table {table}.",
            "order": "by time",
            "columns": [
                {
                    "name": "time",
                    "type": "timestamp",
                    "nullable": False,
                    "description": f"When, in {table}.",
                }
            ],
        }
        for table in ("engagement_metrics", "anomalies")
    ]
}


@dataclass
class FakeReports:
    """Has the HTTP interface of events, reports and exports; tests script its data.

    `refusal` is the status, code and message with which it refuses every request.
    """

    events: dict[str, Body] = field(default_factory=dict)  # at a glance, by id
    session_reports: dict[str, Body] = field(default_factory=dict)
    event_reports: dict[str, Body] = field(default_factory=dict)
    exported: list[dict[str, str]] = field(default_factory=list)  # the queries
    export: Iterable[bytes] = (b"time,session_id\r\n", b"2026-01-04T12:00:00.000Z,keynote\r\n")
    refusal: tuple[int, str, str] | None = None

    def endpoints(self) -> Iterable[tuple[str, str, Endpoint]]:
        """Return method, path and endpoint of each request."""
        yield "GET", "events/overview", self._overview
        yield "GET", "events/report", self._event_report
        yield "GET", "sessions/{id:path}/report", self._session_report
        yield "GET", "export", self._export
        yield "GET", "export/columns", lambda *_: JSONResponse(_COLUMNS)

    def _overview(self, request: Request, _: bytes) -> Response:
        return self._found(self.events, request.query_params["event"])

    def _event_report(self, request: Request, _: bytes) -> Response:
        return self._found(self.event_reports, request.query_params["event"])

    def _session_report(self, request: Request, _: bytes) -> Response:
        return self._found(self.session_reports, request.path_params["id"])

    def _found(self, bodies: dict[str, Body], key: str) -> Response:
        if self.refusal is not None:
            return refusal(*self.refusal)
        if key not in bodies:
            return refusal(404, "unknown_session", "no such session")
        return JSONResponse(bodies[key])

    def _export(self, request: Request, _: bytes) -> Response:
        self.exported.append(dict(request.query_params))
        if self.refusal is not None:
            return refusal(*self.refusal)
        query = request.query_params
        named = re.sub("[^a-z0-9-]", "-", query.get("session") or query.get("event") or "all")
        file = f"{query['table']}-{named}.{query['format']}"
        headers = {"Content-Disposition": f'attachment; filename="{file}"'}
        kind = _TYPES[query["format"]]
        return StreamingResponse(iter(self.export), headers=headers, media_type=kind)
