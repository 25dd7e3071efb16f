"""Policies in memory."""

from collections import defaultdict
from collections.abc import Sequence

from conductor_actors.domain.conductor.policy import CellSums, Policy
from conductor_actors.ports.conductor_port import PolicyChange, PolicyTrial


class MemoryPolicyStore:
    """Add trials to `policies`, by tenant. While `outage` is set, every call raises it.

    A tenant in `refused_tenants` gets its error.
    """

    def __init__(self) -> None:
        self.policies: dict[str, Policy] = {}
        self.versions: defaultdict[str, list[Policy]] = defaultdict(list)
        self.calls: list[tuple[str, int]] = []
        self.outage: Exception | None = None
        self.refused_tenants: dict[str, Exception] = {}
        self._known: set[tuple[str, str]] = set()

    def add_trials(self, tenant_id: str, trials: Sequence[PolicyTrial]) -> PolicyChange:
        self.calls.append((tenant_id, len(trials)))
        if error := self.outage or self.refused_tenants.get(tenant_id):
            raise error
        new = {trial.id: trial for trial in trials if (tenant_id, trial.id) not in self._known}
        self._known |= {(tenant_id, trial_id) for trial_id in new}
        policy = self.policies.get(tenant_id, Policy())
        if new:
            cells = dict(policy.cells)
            for trial in new.values():
                cells[trial.cell] = _added(cells.get(trial.cell, CellSums()), trial)
            policy = Policy(policy.version + 1, cells)
            self.policies[tenant_id] = policy
            self.versions[tenant_id].append(policy)
        return PolicyChange(len(new), policy.version)

    def close(self) -> None:
        pass


def _added(sums: CellSums, trial: PolicyTrial) -> CellSums:
    return CellSums(
        sums.trials + 1,
        sums.before + trial.before,
        sums.after + trial.after,
        sums.before_squared + trial.before**2,
        sums.before_after + trial.before * trial.after,
        sums.after_squared + trial.after**2,
    )
