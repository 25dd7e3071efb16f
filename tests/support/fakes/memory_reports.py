"""Reports of sessions, without rows."""

import msgspec

from conductor_actors.domain.identity import SessionKey
from conductor_actors.wire.report_bodies import Report

AT = "2026-01-04T12:00:00.000Z"


class MemoryReports:
    """Return a report of each session but those in `unknown`; `errors` are raised, by session."""

    def __init__(self) -> None:
        self.calls: list[SessionKey] = []
        self.unknown: set[str] = set()
        self.errors: dict[str, Exception] = {}

    def session_report(self, key: SessionKey) -> Report | None:
        self.calls.append(key)
        if error := self.errors.get(key.session_id):
            raise error
        return None if key.session_id in self.unknown else report_of(key, len(self.calls))

    def close(self) -> None:
        pass


def report_of(key: SessionKey, ticks: int = 7) -> Report:
    """Return a report of few figures."""
    summary = {"sessionId": key.session_id, "eventId": "e", "tenantId": key.tenant_id}
    mean = {"mean": 0.1, "others": None, "difference": None}
    names = ("chat", "poll", "activeUsers", "reactions", "leaveRate")
    body = {
        "kind": "session",
        "session": summary | {"state": "ended"},
        "state": "ended",
        "startedAt": AT,
        "endedAt": AT,
        "durationS": 0,
        "ticks": ticks,
        "meanScore": 0.5,
        "peakScore": 0.5,
        "peakAt": AT,
        "categories": {},
        "peakUsers": 1,
        "messages": 1,
        "reactions": 1,
        "polls": [],
        "anomalies": [],
        "interventions": [],
        "step": "PT5S",
        "curve": [],
        "moments": {"rises": [], "falls": []},
        "contributions": dict.fromkeys(names, mean),
    }
    return msgspec.convert(body, Report)
