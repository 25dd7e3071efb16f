"""Every JSON body of the dashboard but `Update`, as a type.

`static/types.d.ts` and the OpenAPI document are made from these.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from conductor_actors.domain.scoring import Signals
from conductor_actors.instants import from_iso
from conductor_actors.updates import Audience, Category, Id, Share, Timestamp, Update

AnomalyType = Literal["SUDDEN_DROP", "GRADUAL_DECLINE", "LOW_ENGAGEMENT", "MASS_EXIT"]


class Body(msgspec.Struct, rename="camel", gc=False):
    """A JSON object whose names are written in camel case."""


class Anomaly(Body):
    """`anomaly:detected`: something a session's organiser should know now."""

    timestamp: Timestamp
    tenant_id: str
    session_id: Id
    event_id: Id
    type: AnomalyType
    severity: Literal["WARNING", "CRITICAL"]
    anomaly_score: float
    current_engagement: float
    expected_engagement: float
    deviation: float
    signals: dict[str, int | float]


class EngagementHistory(Body):
    """`engagement:history`: a session's last five minutes, oldest first."""

    session_id: Id
    points: Sequence[Update]


class SessionList(Body):
    """The newest update of each session; in `sessions:update`, of each that changed."""

    sessions: Sequence[Update]


class HistoryPoint(Body):
    """A score as it was stored."""

    timestamp: Timestamp
    score: Share
    category: Category
    signals: Signals


class MostUsers(msgspec.Struct, gc=False):
    """The most users at once, of each kind, within a step."""

    active_users: int
    total_users: int


class StepPoint(Body):
    """Several scores in one: mean, least and most of a step that begins at `timestamp`."""

    timestamp: Timestamp
    score: Share
    category: Category
    signals: MostUsers
    min_score: Share
    max_score: Share
    ticks: int


class History(Body):
    """A session's stored scores, tick by tick; `step` is their distance, such as `5s`."""

    session_id: Id
    step: str
    points: Sequence[HistoryPoint]


class StepHistory(Body):
    """A session's stored scores in larger steps, such as `1m`."""

    session_id: Id
    step: str
    points: Sequence[StepPoint]


class SignalPart(Body):
    """One signal's way into the score: raw value → normalised (0…1) x weight = contribution."""

    name: str
    label: str
    raw: float
    unit: str
    normalised: float
    weight: float
    contribution: float


class Explanation(Body):
    """The latest score, signal by signal."""

    session_id: Id
    event_id: Id
    tenant_id: str
    timestamp: Timestamp
    score: Share
    category: Category
    signals: Sequence[SignalPart]
    audience: Audience | msgspec.UnsetType = msgspec.UNSET


class Problem(Body):
    """What is wrong with a request: a code for programs, a sentence for people."""

    code: str
    message: str


class Refusal(Body):
    """The body of every answer that is an error."""

    error: Problem


encode: Final = msgspec.json.Encoder().encode
_anomaly_decoder: Final = msgspec.json.Decoder(Anomaly)


def decode_anomaly(tenant: str, body: bytes) -> Anomaly | None:
    """Decode a published anomaly, as `decode_update` does with an update."""
    try:
        anomaly = _anomaly_decoder.decode(body)
        from_iso(anomaly.timestamp)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    anomaly.tenant_id = tenant
    return anomaly


def join_bodies(bodies: Iterable[bytes]) -> bytes:
    """Return encoded bodies as a JSON list."""
    return b"[" + b",".join(bodies) + b"]"


def history_body(session_id: str, points: Iterable[bytes]) -> bytes:
    """Return the body of `engagement:history`."""
    return b'{"sessionId":' + encode(session_id) + b',"points":' + join_bodies(points) + b"}"


def sessions_body(newest: Iterable[bytes]) -> bytes:
    """Return the body of `sessions:update`, and of the list of sessions."""
    return b'{"sessions":' + join_bodies(newest) + b"}"
