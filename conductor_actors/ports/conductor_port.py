"""The ports through which interventions are sent, learnt from, and read again."""

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, NamedTuple, Protocol

from conductor_actors.domain.conductor.interventions import Intervention


class OutgoingAction(NamedTuple):
    """An action to be sent to the platform, which its session's Conductor has approved."""

    tenant_id: str
    session_id: str
    record: Intervention


class SendResult(Enum):
    """What became of an action that was to be sent."""

    SENT = auto()
    SENT_BEFORE = auto()  # by an earlier call: it is not sent again
    REFUSED = auto()  # 100 were sent for its event within an hour
    LATE = auto()  # its time was over, by the clock of Redis


class ActionSender(Protocol):
    """Send actions to the platform, each once."""

    def send(self, actions: Sequence[OutgoingAction]) -> Sequence[SendResult]:
        """Send actions of one tenant in one round trip; return what became of each.

        After `Unavailable`, some may be sent: send all of them again. Raise `ConfigError` for what
        the operator must change, and `OwnershipLost` if another process is the owner.
        """

    def close(self) -> None:
        """Close every connection."""


class PolicyTrial(NamedTuple):
    """A measured trial, as it is added to a policy. Scores are in millionths."""

    id: str
    cell: str
    before: int
    after: int
    measured_ms: int


class PolicyChange(NamedTuple):
    """The number of trials that a policy did not have yet, and its version with them."""

    trials: int
    version: int


class PolicyStore(Protocol):
    """Add trials to the policies of tenants."""

    def add_trials(self, tenant_id: str, trials: Sequence[PolicyTrial]) -> PolicyChange:
        """Add trials to a tenant's policy, and make it known to every collector.

        A trial that it has already is not added again. After `Unavailable`, they may be added: add
        them again. Raise `ConfigError` for what the operator must change, and `OwnershipLost` if
        another process is the owner.
        """

    def close(self) -> None:
        """Close every connection."""


class StoredIntervention(NamedTuple):
    """An intervention as stored in the database, as its session last reported it.

    `outcome` and `metadata` have the keys of `OutcomeBody` and `InterventionMetadata`, unless
    another program stored it.
    """

    id: str
    at_ms: int
    tenant_id: str
    session_id: str
    event_id: str
    type: str
    status: str
    confidence: float | None
    reasoning: str | None
    outcome: Mapping[str, Any] | None
    metadata: Mapping[str, Any]


class InterventionPage(NamedTuple):
    """At most `limit` interventions from the newest to the oldest, without the first `offset`."""

    limit: int
    offset: int = 0


class InterventionCount(NamedTuple):
    """The number of interventions of a type and a status in a session.

    `successful` of them had an outcome that was a success, and `measured` had any. `mean_reward` is
    None if none was measured.
    """

    type: str
    status: str
    total: int
    measured: int
    successful: int
    mean_reward: float | None


class StoredTrial(NamedTuple):
    """A measured trial as stored in the database: what effects are estimated from.

    `probabilities` are those of all types that were allowed, in millionths; `type` was drawn.
    """

    id: str
    measured_ms: int
    session_id: str
    event_id: str
    type: str
    origin: str
    anomaly_type: str
    probabilities: Mapping[str, int]
    before: float
    after: float
    reward: float | None


class InterventionStore(Protocol):
    """Read stored interventions and trials, on one event loop.

    Every call between `open` and `close` may raise `Unavailable`, or `ConfigError` for what the
    operator must change. `session_ids` are those that the caller may see; None: all of the tenant.
    """

    async def open(self) -> None:
        """Open the pool of connections; the first call connects."""

    async def close(self) -> None:
        """Close every connection."""

    async def of_session(
        self, tenant_id: str, session_id: str, page: InterventionPage
    ) -> Sequence[StoredIntervention]:
        """Return a page of a session's interventions."""

    async def of_event(
        self,
        tenant_id: str,
        event_id: str,
        since_ms: int,
        page: InterventionPage,
        session_ids: Sequence[str] | None = None,
    ) -> Sequence[StoredIntervention]:
        """Return a page of an event's interventions that were decided at or after `since_ms`."""

    async def counts(self, tenant_id: str, session_id: str) -> Sequence[InterventionCount]:
        """Return the numbers of a session's interventions, by type and status."""

    async def find(
        self, tenant_id: str, intervention_id: str, session_ids: Sequence[str] | None = None
    ) -> StoredIntervention | None:
        """Return the intervention of the tenant with this id (a UUID), or None."""

    async def recent(
        self, tenants: Sequence[str], since_ms: int, limit: int
    ) -> Sequence[StoredIntervention]:
        """Return interventions of some tenants that were decided since then, newest first."""

    async def trials(
        self,
        tenant_id: str,
        since_ms: int,
        limit: int,
        session_ids: Sequence[str] | None = None,
    ) -> Sequence[StoredTrial]:
        """Return a tenant's trials that were measured since then, newest first."""
