"""The stored part of the fake service: sessions that were, what they are called, their curves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from statistics import fmean
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from conductor_actors.wire.updates import timestamp
from tests.dashboard.fake_conductor import Endpoint
from tests.dashboard.fake_conductor import refusal as _refusal
from tests.dashboard.sample_bodies import TICK_MS, Body
from tests.dashboard.sample_history import live_summary

STEPS: Final = (1, 2, 3, 6, 12, 24, 60, 120, 360, 720)  # in ticks
_SIGNALS: Final = {
    "chat": "chat",
    "poll": "poll",
    "activeUsers": "active_users",
    "reactions": "reactions",
    "leaveRate": "leave_rate",
}


@dataclass
class FakeHistory:
    """Has the HTTP interface of stored sessions; tests script its data, and read what was asked.

    `refusal` is the status, code and message with which it refuses every request, and
    `change_refusal` that with which it refuses changes.
    """

    summaries: list[Body] = field(default_factory=list)  # the newest first
    rows: dict[str, list[Body]] = field(default_factory=dict)  # updates, one a tick
    live: dict[str, list[Body]] = field(default_factory=dict)  # those of sessions without a summary
    titles: Body = field(default_factory=lambda: {"sessions": {}, "events": {}})
    changes: list[tuple[str, Body]] = field(default_factory=list)
    queries: list[tuple[str, Body]] = field(default_factory=list)
    refusal: tuple[int, str, str] | None = None
    change_refusal: tuple[int, str, str] | None = None

    def endpoints(self) -> Iterable[tuple[str, str, Endpoint]]:
        """Return method, path and endpoint of each request."""
        yield "GET", "sessions/{id:path}/about", self._guarded(self._about)
        yield "PUT", "sessions/{id:path}/about", self._change
        yield "GET", "sessions/{id:path}/timeline", self._guarded(self._timeline)
        yield "GET", "titles", self._guarded(lambda *_: JSONResponse(self.titles))
        yield "GET", "events", self._guarded(self._events)

    def sessions(self, request: Request, body: bytes) -> Response:
        """Return a page of the sessions that match."""
        return self._guarded(self._sessions)(request, body)

    def end(self, summary: Body, rows: Sequence[Body]) -> None:
        """Store a session that has ended, and its rows."""
        self.summaries.insert(0, summary)
        self.rows[summary["sessionId"]] = list(rows)

    def _guarded(self, answer: Endpoint) -> Endpoint:
        def endpoint(request: Request, body: bytes) -> Response:
            self.queries.append((request.url.path, dict(request.query_params)))
            if self.refusal is None:
                return answer(request, body)
            refused = _refusal(*self.refusal)
            refused.headers["Retry-After"] = "1"
            return refused

        return endpoint

    def _sessions(self, request: Request, _: bytes) -> Response:
        query = request.query_params
        found = [one for one in self.summaries if _matches(one, query)]
        first, limit = int(query.get("cursor", "0")), int(query.get("limit", "50"))
        after = first + limit
        following = str(after) if after < len(found) else None
        return JSONResponse({"sessions": found[first:after], "next": following})

    def _summary(self, session: str) -> Body | None:
        found = (one for one in self.summaries if one["sessionId"] == session)
        if rows := self.live.get(session):
            default = live_summary(session, _ms(rows[0]["timestamp"]), eventId=rows[0]["eventId"])
            return next(found, default)
        return next(found, None)

    def _about(self, request: Request, _: bytes) -> Response:
        summary = self._summary(request.path_params["id"])
        return JSONResponse(summary) if summary else _unknown()

    def _change(self, request: Request, body: bytes) -> Response:
        if self.change_refusal is not None:
            return _refusal(*self.change_refusal)
        session, about = request.path_params["id"], msgspec.json.decode(body)
        self.changes.append((session, about))
        summary = self._summary(session)
        if summary is None:
            return _unknown()
        summary |= about
        return JSONResponse(summary)

    def _events(self, request: Request, _: bytes) -> Response:
        search = request.query_params.get("search", "").lower()
        named = {one["eventId"]: one["eventTitle"] for one in self.summaries}
        events = [
            {"eventId": event, "title": title}
            for event, title in named.items()
            if search in f"{event}\n{title}".lower()
        ]
        return JSONResponse({"events": events, "next": None})

    def _timeline(self, request: Request, _: bytes) -> Response:
        session = request.path_params["id"]
        rows = self.rows.get(session) or self.live.get(session, [])
        summary = self._summary(session)
        if summary is None:
            return _unknown()
        query = request.query_params
        first_ms = _ms(query["from"]) if "from" in query else _ms(summary["startedAt"])
        newest = rows[-1]["timestamp"] if rows else summary["startedAt"]
        until_ms = _ms(query["to"]) if "to" in query else _ms(newest) + 1
        shown = [one for one in rows if first_ms <= _ms(one["timestamp"]) < until_ms]
        step_ms = _step_ms(until_ms - first_ms, int(query.get("points", "480")))
        head = {key: summary[key] for key in ("sessionId", "eventId", "startedAt", "endedAt")}
        body: Body = {"from": timestamp(first_ms), "to": timestamp(until_ms)}
        body |= {"step": f"PT{step_ms // 1000}S", "gaps": _gaps(shown)}
        return JSONResponse(head | body | {"points": _steps(shown, step_ms)})


def _matches(summary: Body, query: Mapping[str, str]) -> bool:
    texts = [summary[key] or "" for key in ("sessionId", "title", "eventId", "eventTitle")]
    started = summary["startedAt"]
    return (
        query["state"] in ("all", summary["state"])
        and query.get("search", "").lower() in "\n".join(texts).lower()
        and query.get("event", summary["eventId"]) == summary["eventId"]
        and query.get("from", "") <= started < query.get("to", "9999")
    )


def _steps(rows: Sequence[Body], step_ms: int) -> list[Body]:
    steps: dict[int, list[Body]] = {}
    for one in rows:
        steps.setdefault(_ms(one["timestamp"]) // step_ms * step_ms, []).append(one)
    return [_point(at_ms, found) for at_ms, found in steps.items()]


def _point(at_ms: int, rows: Sequence[Body]) -> Body:
    scores = [one["score"] for one in rows]
    figures = {"score": fmean(scores), "min": min(scores), "max": max(scores)}
    users = {
        name: max(one["signals"][signal] for one in rows)
        for name, signal in (("activeUsers", "active_users"), ("totalUsers", "total_users"))
    }
    added = {
        name: fmean(one["contributions"][part] for one in rows) for name, part in _SIGNALS.items()
    }
    return {"timestamp": timestamp(at_ms), **figures, **users, "contributions": added}


def _gaps(rows: Sequence[Body]) -> list[Body]:
    times = [_ms(one["timestamp"]) for one in rows]
    return [
        {"from": timestamp(one + TICK_MS), "to": timestamp(other)}
        for one, other in pairwise(times)
        if other - one > TICK_MS
    ]


def _step_ms(length_ms: int, points: int) -> int:
    return next(step * TICK_MS for step in STEPS if length_ms / (step * TICK_MS) <= points)


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


def _unknown() -> Response:
    return _refusal(404, "unknown_session", "no such session is stored")
