"""The JSON bodies about stored sessions that lists, timelines and reports share."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from conductor_actors.domain.identity import Id
from conductor_actors.wire.updates import Share, Timestamp

SessionState: TypeAlias = Literal["live", "ended", "planned"]


class SessionSummary(msgspec.Struct, rename="camel", kw_only=True):
    """A session: its names and plan, and its figures, which are null until they are computed.

    A `planned` one has no score yet.
    """

    session_id: Id
    event_id: Id
    tenant_id: str
    title: str | None = None
    event_title: str | None = None
    speakers: Sequence[str] = ()
    planned_begin: Timestamp | None = None
    planned_end: Timestamp | None = None
    state: SessionState
    started_at: Timestamp | None = None
    ended_at: Timestamp | None = None
    duration_s: float | None = None
    mean_score: Share | None = None
    peak_score: Share | None = None
    peak_at: Timestamp | None = None
    peak_users: int | None = None


class Moment(msgspec.Struct, rename="camel"):
    """The change of a session's score within a minute, which ends `at` a tick."""

    session_id: Id
    at: Timestamp
    before: Share
    after: Share
    change: float


class LargestChanges(msgspec.Struct, rename="camel"):
    """The largest changes, each the largest first; those of a session are over a minute apart."""

    rises: Sequence[Moment]
    falls: Sequence[Moment]
