"""Every JSON body that this service reads or writes, as the types it consists of.

`static/types.d.ts` and the OpenAPI document are made from these.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal

import msgspec

from conductor_actors.domain.scoring import Contributions, Signals
from conductor_actors.instants import from_iso, to_iso, to_ms

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Category = Literal["VERY_HIGH", "HIGH", "MODERATE", "LOW", "VERY_LOW"]
Timestamp = Annotated[
    str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$", max_length=24)
]
AnomalyType = Literal["SUDDEN_DROP", "GRADUAL_DECLINE", "LOW_ENGAGEMENT", "MASS_EXIT"]


class Body(msgspec.Struct, rename="camel", gc=False):
    """A JSON object whose names are written in camel case."""


class Update(Body):
    """`engagement:update`: one session's score at one tick."""

    timestamp: Timestamp
    tenant_id: str
    session_id: Id
    event_id: Id
    score: Share
    category: Category
    signals: Signals
    contributions: Contributions


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


class Problem(Body):
    """What is wrong with a request: a code for programs, a sentence for people."""

    code: str
    message: str


class Refusal(Body):
    """The body of every answer that is an error."""

    error: Problem


class GapCount(msgspec.Struct, gc=False):
    """How often events were never read, and how many, as far as that is known."""

    gaps: int
    lost_events: int


class Health(msgspec.Struct, gc=False):
    """How the process and what it needs are doing.

    Of a collector in this process: how far reading is behind, how old its last checkpoint is, and
    what was never read since the start, by reason.
    """

    status: Literal["ok", "standby", "draining"]
    redis: Literal["ok", "away"]
    database: Literal["ok", "away", "unknown"]
    collector: str
    active_sessions: int
    lag_s: float | None
    checkpoint_age_s: float | None
    gaps: dict[str, GapCount]


class Readiness(Body):
    """Whether updates reach clients now, and if not, why."""

    ready: bool
    reasons: Sequence[str]


encode: Final = msgspec.json.Encoder().encode
_update: Final = msgspec.json.Decoder(Update)
_anomaly: Final = msgspec.json.Decoder(Anomaly)


def read_update(tenant: str, data: bytes) -> Update | None:
    """Read a published update; None if it is none. The tenant is the channel's, not the body's."""
    try:
        update = _update.decode(data)
        at_ms(update.timestamp)
    except (msgspec.DecodeError, ValueError):
        return None
    update.tenant_id = tenant
    return update


def read_anomaly(tenant: str, data: bytes) -> Anomaly | None:
    """Read a published anomaly, as `read_update` does."""
    try:
        anomaly = _anomaly.decode(data)
        at_ms(anomaly.timestamp)
    except (msgspec.DecodeError, ValueError):
        return None
    anomaly.tenant_id = tenant
    return anomaly


def decode_update(body: bytes) -> Update:
    """Read again what `encode` has written."""
    return _update.decode(body)


def at_ms(timestamp: str) -> int:
    """Return a timestamp as milliseconds since 1970."""
    return to_ms(from_iso(timestamp))


def timestamp(ms: int) -> str:
    """Write milliseconds since 1970 as a timestamp."""
    return to_iso(ms, "milliseconds")


def joined(bodies: Iterable[bytes]) -> bytes:
    """Make a JSON list of bodies that are encoded already."""
    return b"[" + b",".join(bodies) + b"]"


def history_body(session_id: str, points: Iterable[bytes]) -> bytes:
    """Make the body of `engagement:history`."""
    return b'{"sessionId":' + encode(session_id) + b',"points":' + joined(points) + b"}"


def sessions_body(newest: Iterable[bytes]) -> bytes:
    """Make the body of `sessions:update` and of the list of sessions."""
    return b'{"sessions":' + joined(newest) + b"}"
