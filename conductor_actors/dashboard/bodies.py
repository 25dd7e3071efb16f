"""The types of the JSON bodies of the dashboard, except those of published messages.

`static/types.d.ts` and the OpenAPI document are generated from these.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final

import msgspec

from conductor_actors.domain.identity import Id
from conductor_actors.domain.scoring import Signals
from conductor_actors.ports.anomaly_port import Verdict
from conductor_actors.wire.anomaly_messages import Anomaly
from conductor_actors.wire.intervention_bodies import DecisionBody
from conductor_actors.wire.updates import (
    Audience,
    Category,
    ExpectedRange,
    Share,
    Timestamp,
    Update,
)


class Body(msgspec.Struct, rename="camel", gc=False):
    """A JSON object with keys in camel case."""


class Feedback(Body):
    """Whether an anomaly was a problem, when this was reported, and by whom (claim `sub`)."""

    verdict: Verdict
    at: Timestamp
    by: str | None


class AnomalyRecord(Anomaly, kw_only=True):
    """An anomaly with its end and feedback. While it is open, `endedAt` and `durationS` are null.

    An anomaly without `id` was not stored: its end is unknown, and it takes no feedback.
    """

    ended_at: Timestamp | None
    duration_s: float | None
    feedback: Feedback | None


class AnomalyList(Body):
    """A page of anomalies. `next` is the `cursor` of the next page; null at the end."""

    anomalies: Sequence[AnomalyRecord]
    next: str | None


class AnomalyQuality(Body):
    """How good the anomalies of a type are, as far as feedback says.

    `judged` have feedback, and `notAProblem` of them were no problem. `precision` is the share of
    the others; null without feedback. `medianDurationS` is null if none is over.
    """

    type: str
    total: int
    judged: int
    not_a_problem: int
    precision: Share | None
    median_duration_s: float | None


class QualityReport(Body):
    """The quality of the anomalies of each type that began in a range."""

    types: Sequence[AnomalyQuality]


class FeedbackRequest(Body):
    """The body of a request that reports whether an anomaly was a problem."""

    verdict: Verdict


class EngagementHistory(Body):
    """`engagement:history`: the updates of a session in the last five minutes, oldest first.

    `anomalies` are open or ended in these minutes, and `decisions` of the conductor are open or
    changed in these, oldest first; absent if there are none.
    """

    session_id: Id
    points: Sequence[Update]
    anomalies: Sequence[AnomalyRecord] | msgspec.UnsetType = msgspec.UNSET
    decisions: Sequence[DecisionBody] | msgspec.UnsetType = msgspec.UNSET


class SessionList(Body):
    """The newest update of each session; in `sessions:update`, of each session that changed.

    `anomalies` are all open ones of these sessions, and `decisions` those that a person can decide
    now; absent if there are none.
    """

    sessions: Sequence[Update]
    anomalies: Sequence[AnomalyRecord] | msgspec.UnsetType = msgspec.UNSET
    decisions: Sequence[DecisionBody] | msgspec.UnsetType = msgspec.UNSET


class SubscriptionError(Body):
    """`subscription:error`: a request that was refused and has no acknowledgement."""

    request: str
    session_id: Id | None
    error: str


class HistoryPoint(Body):
    """A stored score. `expected` is absent while the session had no baseline."""

    timestamp: Timestamp
    score: Share
    category: Category
    signals: Signals
    expected: ExpectedRange | msgspec.UnsetType = msgspec.UNSET


class MostUsers(msgspec.Struct, gc=False):
    """The maximum number of users within a step."""

    active_users: int
    total_users: int


class StepPoint(Body):
    """The mean, minimum and maximum score of a step that begins at `timestamp`."""

    timestamp: Timestamp
    score: Share
    category: Category
    signals: MostUsers
    min_score: Share
    max_score: Share
    ticks: int


class History(Body):
    """The stored scores of a session at each tick; `step` is the tick interval, such as `5s`."""

    session_id: Id
    step: str
    points: Sequence[HistoryPoint]


class StepHistory(Body):
    """The stored scores of a session, aggregated in larger steps, such as `1m`."""

    session_id: Id
    step: str
    points: Sequence[StepPoint]


class ScorePoint(Body):
    """A stored score without its signals."""

    timestamp: Timestamp
    score: Share
    category: Category


class ScoreHistory(Body):
    """The stored scores of a session at each tick."""

    session_id: Id
    points: Sequence[ScorePoint]


class ScoreHistories(Body):
    """The stored scores of several sessions; `step` is the tick interval, such as `5s`."""

    step: str
    histories: Sequence[ScoreHistory]


class SignalPart(Body):
    """The contribution of a signal to the score: its normalised value (0…1) x its weight."""

    name: str
    label: str
    raw: float
    unit: str
    normalised: float
    weight: float
    contribution: float


class Explanation(Body):
    """The latest score of a session, by signal.

    `noticeableS` is after how many seconds of silence an anomaly can be detected, at the session's
    rate of chat messages and reactions; null below 10 a minute, where it can't.
    """

    session_id: Id
    event_id: Id
    tenant_id: str
    timestamp: Timestamp
    score: Share
    category: Category
    signals: Sequence[SignalPart]
    noticeable_s: float | None
    audience: Audience | msgspec.UnsetType = msgspec.UNSET


class QuietRequest(Body):
    """The request to make a session quiet until a time, 24 hours at most; null ends that."""

    until: Annotated[str, msgspec.Meta(max_length=64)] | None


class CommandAccepted(Body):
    """A command that was accepted, not yet carried out."""

    id: str


class Problem(Body):
    """An error: a code for programs, and a message for people."""

    code: str
    message: str


class Refusal(Body):
    """The body of every error response."""

    error: Problem


encode: Final = msgspec.json.Encoder().encode


def join_bodies(bodies: Iterable[bytes]) -> bytes:
    """Return encoded bodies as a JSON list."""
    return b"[" + b",".join(bodies) + b"]"


def history_body(
    session_id: str,
    points: Iterable[bytes],
    anomalies: Sequence[bytes] = (),
    decisions: Sequence[bytes] = (),
) -> bytes:
    """Return the body of `engagement:history`."""
    head = b'{"sessionId":' + encode(session_id) + b',"points":' + join_bodies(points)
    return head + _optional_keys(anomalies, decisions) + b"}"


def sessions_body(
    newest: Iterable[bytes], anomalies: Sequence[bytes] = (), decisions: Sequence[bytes] = ()
) -> bytes:
    """Return the body of `sessions:update`, and of the list of sessions."""
    head = b'{"sessions":' + join_bodies(newest)
    return head + _optional_keys(anomalies, decisions) + b"}"


def _optional_keys(anomalies: Sequence[bytes], decisions: Sequence[bytes]) -> bytes:
    found = b',"anomalies":' + join_bodies(anomalies) if anomalies else b""
    return found + (b',"decisions":' + join_bodies(decisions) if decisions else b"")
