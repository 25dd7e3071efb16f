"""The metrics of the conductor: what it decides, what is sent, and what is learnt from it."""

from itertools import product
from typing import Final, get_args

from conductor_actors import log_events as events
from conductor_actors.domain.conductor.interventions import (
    ACTIONS,
    INTERVENTION_TYPES,
    InterventionStatus,
    Origin,
)
from conductor_actors.log_events import LogEvent
from conductor_actors.observability.series import SeriesFactory

UNSENT_REASONS: Final = ("redis_away", "database_away", "late", "too_many", "event_limit")
OUTCOMES: Final = ("success", "no_success", "ended", "gap", "other_action")

_SEND_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)


class ConductorMetrics:
    """The interventions of sessions, and the policies of tenants."""

    def __init__(self, make: SeriesFactory) -> None:
        self._decisions = make.counter(
            "decisions", "Interventions decided, by type and by who decided how.", "type", "origin"
        )
        self._moves = make.counter(
            "interventions_moved", "Later changes of the status of interventions.", "status"
        )
        self._sent = make.counter("interventions_sent", "Actions sent to the platform.", "type")
        self._unsent = make.counter(
            "interventions_unsent", "Actions that were not sent, by reason.", "reason"
        )
        self._delay = make.histogram(
            "intervention_delay_seconds", "Time to send an action.", _SEND_SECONDS
        )
        self._outcomes = make.counter(
            "intervention_outcomes", "Outcomes: measured, or censored by reason.", "outcome"
        )
        self._learnt = make.counter("trials_learnt", "Trials added to policies.")
        self._dropped = make.counter("trials_dropped", "Trials that were not learnt.")
        for kind, origin in product(INTERVENTION_TYPES, get_args(Origin)):
            if (kind == "HOLD") == (origin == "hold"):
                self._decisions.labels(kind, origin)
        for counter, values in (
            (self._moves, get_args(InterventionStatus)),
            (self._sent, ACTIONS),
            (self._unsent, UNSENT_REASONS),
            (self._outcomes, OUTCOMES),
        ):
            for value in values:
                counter.labels(value)

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.DecisionMade():
                self._decisions.labels(event.type, event.origin).inc()
            case events.InterventionMoved():
                self._moves.labels(event.status).inc()
            case events.InterventionDelivered():
                self._sent.labels(event.type).inc()
                self._delay.observe(event.waited_s)
            case events.InterventionRefused() | events.InterventionGivenUp():
                self._unsent.labels(event.reason).inc()
            case events.OutcomeMeasured():
                measured = "success" if event.reward > 0 else "no_success"
                self._outcomes.labels(event.censored or measured).inc()
            case events.PolicyUpdated():
                self._learnt.inc(event.trials)
            case events.TrialsDropped():
                self._dropped.inc(event.trials)
