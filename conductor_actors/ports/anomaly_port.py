"""Stored anomalies, and the port through which the dashboard reads them and stores feedback."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

Verdict: TypeAlias = Literal["problem", "not_a_problem"]


class AnomalyFeedback(NamedTuple):
    """Whether an anomaly was a problem, when this was reported, and by whom, if that is known."""

    verdict: Verdict
    at_ms: int
    subject: str | None = None


class StoredAnomaly(NamedTuple):
    """An anomaly as stored in the database. While it is open, `ended_ms` is None.

    `onset_ms` and `reason` may be None if another program stored it.
    """

    id: str
    at_ms: int
    tenant_id: str
    session_id: str
    event_id: str
    type: str
    severity: str
    anomaly_score: float
    current_engagement: float
    expected_engagement: float
    deviation: float
    signals: Mapping[str, float]
    onset_ms: int | None = None
    reason: str | None = None
    ended_ms: int | None = None
    feedback: AnomalyFeedback | None = None

    @property
    def position(self) -> "AnomalyPosition":
        """Its place in the order of all anomalies."""
        return AnomalyPosition(self.at_ms, self.id)


class AnomalyPosition(NamedTuple):
    """The place of an anomaly in the order of all: its begin, then its id."""

    at_ms: int
    id: str


class AnomalySelection(NamedTuple):
    """The anomalies of a tenant that began in `[first_ms, until_ms)`.

    Only of these sessions and of this event, unless they are None.
    """

    tenant_id: str
    first_ms: int
    until_ms: int
    session_ids: Sequence[str] | None = None
    event_id: str | None = None


class AnomalyPage(NamedTuple):
    """At most `limit` anomalies, in their order or from the newest to the oldest.

    Only those after the position `after`, and only those that are open, or over, unless None.
    """

    limit: int
    is_newest_first: bool = True
    is_open: bool | None = None
    after: AnomalyPosition | None = None


class TypeQuality(NamedTuple):
    """The number of anomalies of a type, of those with feedback, and of those that were no problem.

    `median_duration_s` is None if none of them is over.
    """

    type: str
    total: int
    judged: int
    not_a_problem: int
    median_duration_s: float | None


class AnomalyStore(Protocol):
    """Read stored anomalies and store feedback on them, on one event loop.

    Every call between `open` and `close` may raise `Unavailable`, or `ConfigError` for what the
    operator must change.
    """

    async def open(self) -> None:
        """Open the pool of connections; the first call connects."""

    async def close(self) -> None:
        """Close every connection."""

    async def find(self, selection: AnomalySelection, page: AnomalyPage) -> Sequence[StoredAnomaly]:
        """Return a page of the anomalies."""

    async def recent(
        self, tenants: Sequence[str], began_since_ms: int, ended_since_ms: int, limit: int
    ) -> Sequence[StoredAnomaly]:
        """Return anomalies of some tenants, newest first, that are open or ended recently."""

    async def quality(self, selection: AnomalySelection) -> Sequence[TypeQuality]:
        """Return the quality of the anomalies of each type, by name."""

    async def store_feedback(
        self,
        tenant_id: str,
        anomaly_id: str,
        session_ids: Sequence[str] | None,
        feedback: AnomalyFeedback,
    ) -> StoredAnomaly | None:
        """Replace the feedback on an anomaly; return the anomaly with its former feedback.

        Return None if no anomaly with this id is stored, of the tenant and of one of the sessions.
        """
