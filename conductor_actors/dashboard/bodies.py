"""The types of the JSON bodies of the dashboard, except those of published messages.

`static/types.d.ts` and the OpenAPI document are generated from these.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from conductor_actors.domain.identity import Id
from conductor_actors.domain.scoring import Signals
from conductor_actors.updates import Audience, Category, Share, Timestamp, Update


class Body(msgspec.Struct, rename="camel", gc=False):
    """A JSON object with keys in camel case."""


class EngagementHistory(Body):
    """`engagement:history`: the updates of a session in the last five minutes, oldest first."""

    session_id: Id
    points: Sequence[Update]


class SessionList(Body):
    """The newest update of each session; in `sessions:update`, of each session that changed."""

    sessions: Sequence[Update]


class SubscriptionError(Body):
    """`subscription:error`: a request that was refused and has no acknowledgement."""

    request: str
    session_id: Id | None
    error: str


class HistoryPoint(Body):
    """A stored score."""

    timestamp: Timestamp
    score: Share
    category: Category
    signals: Signals


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
    """The latest score of a session, by signal."""

    session_id: Id
    event_id: Id
    tenant_id: str
    timestamp: Timestamp
    score: Share
    category: Category
    signals: Sequence[SignalPart]
    audience: Audience | msgspec.UnsetType = msgspec.UNSET


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


def history_body(session_id: str, points: Iterable[bytes]) -> bytes:
    """Return the body of `engagement:history`."""
    return b'{"sessionId":' + encode(session_id) + b',"points":' + join_bodies(points) + b"}"


def sessions_body(newest: Iterable[bytes]) -> bytes:
    """Return the body of `sessions:update`, and of the list of sessions."""
    return b'{"sessions":' + join_bodies(newest) + b"}"
