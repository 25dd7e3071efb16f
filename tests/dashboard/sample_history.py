"""Sessions that were, as the service describes them."""

from collections.abc import Sequence
from typing import Any

from conductor_actors.wire.updates import timestamp
from tests.dashboard.sample_bodies import TICK_MS, Body, varied_update


def summary(session: str, started_ms: int, length_s: float = 3600, **more: Any) -> Body:
    """Return the summary of a session that has ended."""
    ended_ms = started_ms + int(length_s * 1000)
    return {
        "sessionId": session,
        "eventId": "conf-2026",
        "tenantId": "default",
        "title": None,
        "eventTitle": None,
        "speakers": [],
        "plannedBegin": None,
        "plannedEnd": None,
        "state": "ended",
        "startedAt": timestamp(started_ms),
        "endedAt": timestamp(ended_ms),
        "durationS": length_s,
        "meanScore": 0.52,
        "peakScore": 0.87,
        "peakAt": timestamp(started_ms + int(length_s * 500)),
        "peakUsers": 180,
        **more,
    }


def live_summary(session: str, started_ms: int, **more: Any) -> Body:
    """Return the summary of a session that is live: its figures are not computed."""
    figures = ("endedAt", "durationS", "meanScore", "peakScore", "peakAt", "peakUsers")
    return summary(session, started_ms) | dict.fromkeys(figures) | {"state": "live"} | more


def rows_between(session: str, first_ms: int, last_ms: int) -> Sequence[Body]:
    """Return plausible rows of a session from its first tick to its last."""
    return [varied_update(session, 0, at) for at in range(first_ms, last_ms + 1, TICK_MS)]
