"""Bodies of events, reports and their sessions, as the fake service sends them."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from conductor_actors.wire.updates import timestamp
from tests.dashboard.sample_bodies import NOON_MS, Body

MINUTE_MS: Final = 60_000
EVENT: Final = "conf-2026"
_CATEGORIES: Final = ("VERY_HIGH", "HIGH", "MODERATE", "LOW", "VERY_LOW")
_WEIGHTS: Final = {"chat": 0.3, "poll": 0.25, "activeUsers": 0.25, "reactions": 0.1}


def summary(
    session: str, from_ms: int = NOON_MS, minutes: int = 45, mean: float = 0.5, **more: Any
) -> Body:
    """Return what is known of a session that has ended."""
    end_ms = from_ms + minutes * MINUTE_MS
    return {
        "sessionId": session,
        "eventId": EVENT,
        "tenantId": "default",
        "title": None,
        "eventTitle": None,
        "speakers": [],
        "plannedBegin": None,
        "plannedEnd": None,
        "state": "ended",
        "startedAt": timestamp(from_ms),
        "endedAt": timestamp(end_ms),
        "durationS": minutes * 60,
        "meanScore": mean,
        "peakScore": min(1.0, mean + 0.2),
        "peakAt": timestamp(from_ms + minutes * MINUTE_MS // 2),
        "peakUsers": 120,
        **more,
    }


def live(session: str, from_ms: int = NOON_MS, minutes: int = 45, **more: Any) -> Body:
    """Return what is known of a live session: its figures are not stored yet."""
    unknown = ("endedAt", "durationS", "meanScore", "peakScore", "peakAt", "peakUsers")
    none = dict.fromkeys(unknown)
    return summary(session, from_ms, minutes, **{"state": "live", **none, **more})


def curve(
    from_ms: int, minutes: int, mean: float, people: int = 100, step_ms: int = MINUTE_MS
) -> list[Body]:
    """Return points that swing around a mean, with minima and maxima."""
    points = []
    for index in range(minutes * MINUTE_MS // step_ms):
        swing = 0.12 * math.sin(index / 4 + mean * 9) + 0.06 * math.sin(index / 1.7)
        score = min(1.0, max(0.0, mean + swing))
        points.append(
            {
                "timestamp": timestamp(from_ms + index * step_ms),
                "score": score,
                "min": max(0.0, score - 0.05),
                "max": min(1.0, score + 0.05),
                "totalUsers": round(people * (0.7 + 0.3 * math.sin(index / 9))),
            }
        )
    return points


def moment(session: str, at_ms: int, before: float, after: float) -> Body:
    """Return a change of a session's score within a minute."""
    change = after - before
    ends = {"before": before, "after": after, "change": change}
    return {"sessionId": session, "at": timestamp(at_ms), **ends}


def overview(sessions: Sequence[Body], **more: Any) -> Body:
    """Return an event at a glance; the sessions have their points."""
    begin_ms, end_ms = NOON_MS, NOON_MS + 240 * MINUTE_MS
    rises = [moment(each["sessionId"], NOON_MS, 0.3, 0.62) for each in sessions[:2]]
    falls = [moment(each["sessionId"], NOON_MS + MINUTE_MS, 0.7, 0.41) for each in sessions[:2]]
    return {
        "eventId": EVENT,
        "title": None,
        "step": "PT60S",
        "startedAt": timestamp(begin_ms),
        "endedAt": timestamp(end_ms),
        "sessions": list(sessions),
        "curve": [_without_bounds(each) for each in curve(begin_ms, 240, 0.55, 400)],
        "moments": {"rises": rises, "falls": falls},
        **more,
    }


def with_points(session: Body, minutes: int, mean: float = 0.5, people: int = 100) -> Body:
    """Return a session of an event, with its curve."""
    from_ms = NOON_MS if session["startedAt"] is None else _ms(session["startedAt"])
    points = [_without_bounds(each) for each in curve(from_ms, minutes, mean, people)]
    return session | {"points": points}


def report(kind: str = "session", minutes: int = 90, **more: Any) -> Body:
    """Return the report of a session, or of an event with five sessions."""
    end_ms = NOON_MS + minutes * MINUTE_MS
    titles = {"title": "Opening keynote", "eventTitle": "Conference 2026"}
    about: Body = {"session": summary("keynote", speakers=["Ada L.", "Grace H."]) | titles}
    if kind == "event":
        about = {"event": {"eventId": EVENT, "title": "Conference 2026", "sessions": 5}}
        about["sessions"] = [
            summary(f"session-{each}", NOON_MS + each * 50 * MINUTE_MS, 45, 0.3 + each / 10)
            for each in range(5)
        ]
    points = curve(NOON_MS, minutes, 0.55, step_ms=MINUTE_MS)
    return {
        "kind": kind,
        **about,
        "state": "ended",
        "startedAt": timestamp(NOON_MS),
        "endedAt": timestamp(end_ms),
        "durationS": minutes * 60,
        "ticks": minutes * 12,
        "meanScore": 0.551,
        "peakScore": 0.83,
        "peakAt": timestamp(NOON_MS + 30 * MINUTE_MS),
        "categories": {
            name: minutes * 60 * share / 100
            for name, share in zip(_CATEGORIES, (5, 25, 45, 20, 5), strict=True)
        },
        "peakUsers": 212,
        "messages": 1834,
        "reactions": 977,
        "polls": [
            {
                "sessionId": "keynote",
                "at": timestamp(NOON_MS + each * 20 * MINUTE_MS),
                "participation": 0.3 + each / 10,
            }
            for each in range(1, 4)
        ],
        "anomalies": [_anomaly(NOON_MS + each * 25 * MINUTE_MS) for each in range(1, 3)],
        "interventions": [_action(NOON_MS + 25 * MINUTE_MS)],
        "curve": points,
        "moments": {
            "rises": [moment("keynote", _ms(points[9]["timestamp"]), 0.41, 0.64)],
            "falls": [moment("keynote", _ms(points[30]["timestamp"]), 0.7, 0.44)],
        },
        "contributions": {
            name: {"mean": weight * 0.6, "others": weight * 0.5, "difference": weight * 0.1}
            for name, weight in _WEIGHTS.items()
        }
        | {"leaveRate": {"mean": -0.012, "others": -0.004, "difference": -0.008}},
        **more,
    }


def _anomaly(at_ms: int) -> Body:
    ends = {"startedAt": timestamp(at_ms), "endedAt": timestamp(at_ms + 150_000)}
    reason = "2 messages and reactions in the last 20 s; 58 were expected of 60 people."
    return {
        "id": f"a-{at_ms}",
        "sessionId": "keynote",
        "type": "SUDDEN_DROP",
        "severity": "CRITICAL",
        **ends,
    } | {"reason": reason}


def _action(at_ms: int) -> Body:
    outcome = {
        "success": True,
        "reward": 0.06,
        "engagement_before": 0.38,
        "engagement_after": 0.51,
        "engagement_delta": 0.13,
        "pre_engagement": 0.38,
        "post_engagement": 0.51,
        "measured_at": timestamp(at_ms + 120_000),
    }
    action = {"id": f"i-{at_ms}", "sessionId": "keynote", "type": "POLL", "status": "COMPLETED"}
    times = {"at": timestamp(at_ms), "sentAt": timestamp(at_ms + 2_000)}
    return action | times | {"outcome": outcome}


def _without_bounds(point: Body) -> Body:
    return {key: point[key] for key in ("timestamp", "score", "totalUsers")}


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
