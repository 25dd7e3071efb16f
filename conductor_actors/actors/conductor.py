"""The actor that learns: it adds measured trials to the policies of tenants."""

from collections.abc import Sequence
from itertools import islice
from typing import Final, assert_never

from conductor_actors.actors.messages import (
    ConductorMessage,
    Flush,
    Flushed,
    IntervalElapsed,
    TrialsMeasured,
)
from conductor_actors.actors.runtime.base import ActorContext, SystemActor
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.actors.tenant_calls import call_for_tenants
from conductor_actors.domain.conductor.interventions import MICRO, Intervention
from conductor_actors.domain.conductor.policy import cell_name
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import PolicyUpdated, TrialsDropped, emit
from conductor_actors.outages import Backoff
from conductor_actors.ports.conductor_port import PolicyStore, PolicyTrial

MAX_LEARN_BACKOFF_S: Final = 5.0
MAX_LEARN_BATCH: Final = 500
MAX_WAITING_TRIALS: Final = 100_000


class ConductorActor(SystemActor):
    """A switch over `ConductorMessage`, for all tenants, which it keeps apart.

    An actor for each tenant would be a thread for each, started whenever one appears, and there is
    no state to divide: what was learnt is in Redis, where other collectors add to it. A trial waits
    until it is stored, and no checkpoint is committed before: after a crash, the session reports it
    again. But a checkpoint does not wait for an operator: while Redis refuses trials, they are lost
    if the process ends.
    """

    def __init__(self, context: ActorContext[ThreadMailbox], policies: PolicyStore) -> None:
        super().__init__(context)
        self._policies = policies
        self._backoff = Backoff("redis policy", MAX_LEARN_BACKOFF_S, context.mailbox.clock)
        self._error: Unavailable | ConfigError | None = None
        self._waiting: dict[str, dict[str, PolicyTrial]] = {}  # by tenant and id
        self._flushes: list[Flush] = []

    def on_receive(self, message: ConductorMessage) -> None:
        match message:
            case TrialsMeasured(tenant_id, _, records):
                self._add(tenant_id, records)
            case Flush():
                self._flushes.append(message)
            case IntervalElapsed():
                pass
            case _:
                assert_never(message)
        if self._context.mailbox.empty():
            self._store()

    def _add(self, tenant_id: str, records: Sequence[Intervention]) -> None:
        trials = [trial for record in records if (trial := trial_of(record)) is not None]
        if not trials:
            return
        if sum(map(len, self._waiting.values())) + len(trials) > MAX_WAITING_TRIALS:
            emit(TrialsDropped(trials=len(trials)))
            return
        self._waiting.setdefault(tenant_id, {}).update({trial.id: trial for trial in trials})

    def _store(self) -> None:
        if self._waiting and self._backoff.is_over():
            tenants = [*self._waiting]
            self._error = call_for_tenants(self._backoff, tenants, self._store_of_tenant)
        if not self._waiting or isinstance(self._error, ConfigError):
            self._report_flushed()

    def _store_of_tenant(self, tenant_id: str) -> None:
        trials = self._waiting[tenant_id]
        while trials:
            batch = [*islice(trials.values(), MAX_LEARN_BATCH)]
            change = self._policies.add_trials(tenant_id, batch)
            for trial in batch:
                del trials[trial.id]
            if change.trials:
                emit(PolicyUpdated(tenant=tenant_id, trials=change.trials, version=change.version))
        del self._waiting[tenant_id]

    def _report_flushed(self) -> None:
        flushes, self._flushes = self._flushes, []
        for flush in flushes:
            flush.reply_to.tell(Flushed(flush.number, by="conductor"))

    def on_stop(self) -> None:
        self._store()


def trial_of(record: Intervention) -> PolicyTrial | None:
    """Return an intervention as a trial of its cell; None if it is none, or was not measured."""
    choice, outcome = record.choice, record.outcome
    if choice is None or outcome is None or outcome.censored or outcome.after is None:
        return None
    cell = cell_name(record.type, choice.anomaly_type)
    before, after = round(outcome.before * MICRO), round(outcome.after * MICRO)
    return PolicyTrial(record.id, cell, before, after, outcome.measured_ms)
