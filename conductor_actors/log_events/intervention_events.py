"""Log events of the conductor. `id` is that of the stored intervention.

After a crash, a decision or an outcome may be reported again.
"""

from typing import ClassVar, TypeAlias

from conductor_actors.log_events.log_event import Count, Level, LogEvent, Name, Number, TickMs


class DecisionMade(LogEvent):
    """An intervention was decided at a tick; HOLD is the decision to do nothing.

    `origin` is hold, suggest, act or manual; `probability` is that of the type that was drawn, and
    0 if a person decided.
    """

    id: Name
    type: Name
    origin: Name
    tick_at_ms: TickMs
    confidence: Number
    probability: Number
    policy_version: Count
    reason: Name


class InterventionMoved(LogEvent):
    """The status of an intervention has changed at a tick."""

    id: Name
    type: Name
    status: Name
    tick_at_ms: TickMs
    note: Name


class InterventionDelivered(LogEvent, tag="intervention_sent"):
    """An action was sent to the platform, so long after it was approved."""

    id: Name
    type: Name
    waited_s: Number


class InterventionRefused(LogEvent):
    """An action was not sent because of a limit: `event_limit`, 100 an hour for its event."""

    level: ClassVar[Level] = "warning"

    id: Name
    type: Name
    reason: Name


class InterventionGivenUp(LogEvent):
    """An action was not sent in time.

    `reason` is `redis_away` or `database_away`, `late` (its 15 s were over when Redis was reached),
    or `too_many` (others wait).
    """

    level: ClassVar[Level] = "warning"

    id: Name
    type: Name
    reason: Name
    waited_s: Number


class OutcomeMeasured(LogEvent):
    """The outcome of an intervention is known at a tick.

    `censored` is empty, or says why it could not be measured: then the numbers are 0.
    """

    id: Name
    type: Name
    tick_at_ms: TickMs
    score_before: Number
    score_after: Number
    reward: Number
    censored: Name


class PolicyUpdated(LogEvent):
    """Trials were added to the policy of the tenant, which has this version now."""

    trials: Count
    version: Count


class TrialsDropped(LogEvent):
    """Trials were dropped, because more wait than may: the policy does not learn from them."""

    level: ClassVar[Level] = "error"

    trials: Count


ConductorLogEvent: TypeAlias = (
    DecisionMade
    | InterventionDelivered
    | InterventionGivenUp
    | InterventionMoved
    | InterventionRefused
    | OutcomeMeasured
    | PolicyUpdated
    | TrialsDropped
)
