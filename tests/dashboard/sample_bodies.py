"""Bodies that the fake service sends, and names of sessions."""

import math
from datetime import datetime
from typing import Any, Final

import msgspec

from conductor_actors.domain.scoring import Scoring, Signals, category, clamped
from conductor_actors.wire.updates import Update, timestamp

NOON_MS: Final = 1_767_528_000_000  # 2026-01-04T12:00:00Z
TICK_MS: Final = 5_000

Body = dict[str, Any]

_NAMES: Final = (
    *("keynote-opening", "panel-open-data", "workshop-databases", "class-statistics"),
    *("town-hall-budget", "fireside-chat", "lightning-talks", "product-demo"),
    *("networking-lounge", "class-writing", "panel-remote-work", "closing-ceremony"),
)


def update(session: str, at_ms: int, signals: Signals, event: str = "conf-2026") -> Body:
    """Return the body of an update as the service makes it of these signals."""
    added = Scoring().contributions(signals)
    score = clamped(added.total())
    body = Update(
        *(timestamp(at_ms), "default", session, event),
        *(score, category(score), signals, added),  # type: ignore[arg-type] # one of the five
    )
    return plain(body)


def update_with_score(session: str, at_ms: int, score: float, event: str = "conf-2026") -> Body:
    """Return an update with exactly this score; its signals are only plausible."""
    users = round(score * 200)
    signals = Signals(30 * score**2, score * 0.8, users, 200, 12 * score**2, (1 - score) / 10)
    return update(session, at_ms, signals, event) | {"score": score, "category": category(score)}


def anomaly(
    session: str, at_ms: int, severity: str, expected: float, actual: float, **more: Any
) -> Body:
    """Return the body of an anomaly, as a publisher sends it that knows no ids."""
    return {
        "sessionId": session,
        "eventId": "conf-2026",
        "tenantId": "default",
        "timestamp": timestamp(at_ms),
        "type": "SUDDEN_DROP",
        "severity": severity,
        "currentEngagement": actual,
        "expectedEngagement": expected,
        "anomalyScore": 3.2,
        "deviation": actual - expected,
        "signals": {},
        **more,
    }


def incident(session: str, at_ms: int, severity: str = "CRITICAL", **more: Any) -> Body:
    """Return the body of an anomaly of the service, which began ten seconds before."""
    own = {
        "id": f"{session}-{at_ms}",
        "onset": timestamp(at_ms - 10_000),
        "reason": "2 messages and reactions in the last 20 s; 58 were expected of 60 people.",
    }
    return anomaly(session, at_ms, severity, 0.62, 0.28, **own | more)


def record(body: Body, **more: Any) -> Body:
    """Return an anomaly as it is stored: by default, it is open."""
    return body | {"endedAt": None, "durationS": None, "feedback": None} | more


def incident_end(began: Body, at_ms: int) -> Body:
    """Return the body of an anomaly's end."""
    began_s = datetime.fromisoformat(began["timestamp"]).timestamp()
    keys = ("id", "sessionId", "eventId", "tenantId", "type")
    return {key: began[key] for key in keys} | {
        "timestamp": timestamp(at_ms),
        "startedAt": began["timestamp"],
        "durationS": at_ms / 1000 - began_s,
    }


def varied_update(session: str, index: int, at_ms: int) -> Body:
    """Return a session's update at an instant: plausible, and the same each time."""
    at_s = at_ms / 1000
    base = 0.5 + 0.42 * math.sin(index * 2.4) + 0.1 * math.sin(at_s / 61 + index)
    activity = min(1, max(0.02, base + 0.05 * math.sin(at_s / 7 + 3 * index)))
    users = 24 + (index * 37) % 180
    active = round(users * min(1, 0.25 + 0.75 * activity))
    poll = 0.0 if index % 3 == 1 and activity < 0.6 else min(1.0, activity * 0.85)
    signals = Signals(
        round(28 * activity**2),
        poll,
        active,
        users,
        round(14 * activity**2),
        0.12 * (1 - activity) ** 2,
    )
    return update(session, at_ms, signals, f"conf-2026-day-{1 + index % 3}")


def session_names(count: int) -> list[str]:
    """Return this number of names of sessions."""
    return [
        f"{_NAMES[index % 12]}{f'-{index // 12 + 1}' if index >= 12 else ''}"
        for index in range(count)
    ]


def plain(body: Any) -> Body:
    """Return a body as its receiver decodes it."""
    plain: Body = msgspec.to_builtins(body)
    return plain
