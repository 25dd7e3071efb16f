"""The JSON body of a report, for the API and for delivery.

Every figure follows from stored rows: those of the session, or of the event's sessions.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from conductor_actors.domain.identity import Id
from conductor_actors.wire.history_bodies import LargestChanges, SessionSummary
from conductor_actors.wire.updates import Category, Share, Timestamp


class _ReportBody(msgspec.Struct, rename="camel"):
    """A JSON object with keys in camel case."""


class ReportedEvent(_ReportBody):
    """The event of a report, and the number of its sessions."""

    event_id: Id
    tenant_id: str
    title: str | None
    sessions: int


class ReportedPoll(_ReportBody):
    """The peak of participation while polls of a session were open."""

    session_id: Id
    at: Timestamp
    participation: Share


class ReportedAnomaly(_ReportBody):
    """An anomaly. `endedAt` is null while it is open."""

    id: str
    session_id: Id
    type: str
    severity: str
    started_at: Timestamp
    ended_at: Timestamp | None
    reason: str | None


class ReportedIntervention(_ReportBody):
    """What the conductor, or a person, decided. The type HOLD means to do nothing.

    `sentAt` is null if it was not sent: what followed then followed something else.
    """

    id: str
    session_id: Id
    type: str
    status: str
    at: Timestamp
    sent_at: Timestamp | None
    outcome: Mapping[str, Any] | None


class ReportedPoint(_ReportBody):
    """The mean, lowest and highest score of a step, and the most people in it."""

    timestamp: Timestamp
    score: Share
    min: Share
    max: Share
    total_users: int


class ReportedContribution(_ReportBody):
    """What a signal added to the score on average, and to that of the event's other sessions.

    `others` is the mean of the other sessions' means, and `difference` is from it; both are null
    without other sessions, and in the report of an event.
    """

    mean: float
    others: float | None
    difference: float | None


class ReportedContributions(_ReportBody):
    """What each signal added to the score."""

    chat: ReportedContribution
    poll: ReportedContribution
    active_users: ReportedContribution
    reactions: ReportedContribution
    leave_rate: ReportedContribution


class Report(_ReportBody, kw_only=True):
    """What happened in a session, or in all sessions of an event.

    The score of an event at a tick is that of its sessions, weighted by their people. `durationS`
    is from the first to the last tick; `ticks` counts those of all sessions, and `categories` are
    the seconds in each. `peakUsers` is the most people at a tick. `messages` and `reactions` are
    sums of windows one window apart, from the last tick back. `step` is that of the `curve`.
    """

    kind: Literal["session", "event"]
    session: SessionSummary | msgspec.UnsetType = msgspec.UNSET
    event: ReportedEvent | msgspec.UnsetType = msgspec.UNSET
    state: Literal["live", "ended"]
    started_at: Timestamp
    ended_at: Timestamp | None
    duration_s: float
    ticks: int
    mean_score: Share
    peak_score: Share
    peak_at: Timestamp
    categories: dict[Category, int]
    peak_users: int
    messages: int
    reactions: int
    polls: Sequence[ReportedPoll]
    anomalies: Sequence[ReportedAnomaly]
    interventions: Sequence[ReportedIntervention]
    step: str
    curve: Sequence[ReportedPoint]
    moments: LargestChanges
    contributions: ReportedContributions
    sessions: Sequence[SessionSummary] | msgspec.UnsetType = msgspec.UNSET


encode_report: Final = msgspec.json.Encoder().encode
