"""The state of one process of a service, and that of several together."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias

import msgspec

from conductor_actors.commands.inspect.histories import SessionHistories
from conductor_actors.commands.inspect.rates import CounterRate, StepRate, WindowRate
from conductor_actors.domain.identity import SessionKey
from conductor_actors.log_events import ActorStats, SessionFigures, TenantFigures
from conductor_actors.log_events.merged_reports import merge_events, merge_tenants
from conductor_actors.observability.open_anomalies import OpenAnomalies

MAX_SESSIONS_WITH_ANOMALY: Final = 10_000

Phase: TypeAlias = Literal["unknown", "running", "draining", "stopped"]

_PHASES: Final[Sequence[Phase]] = ("running", "draining", "stopped", "unknown")  # of all: the first
_STATES_OF_ACTORS: Final = ("failed", "restarting", "running")  # of all actors of a kind: the first


class LastTick(msgspec.Struct, frozen=True):
    """The last tick: its time, its delay, and how long it took to score all sessions."""

    at: datetime
    lag_s: float
    duration_s: float
    sessions: int


@dataclass(slots=True)
class ActorKind:
    """All actors of one kind."""

    stats: ActorStats | None = None
    rate: CounterRate = field(default_factory=CounterRate)
    states: dict[str, str] = field(default_factory=dict)  # of each partition
    restarts: int = 0

    @property
    def state(self) -> str:
        """The worst state of an actor that has not stopped."""
        found = set(self.states.values())
        worst = next((state for state in _STATES_OF_ACTORS if state in found), None)
        return worst or ("stopped" if found else "running")


@dataclass(slots=True)
class ProcessModel:
    """One process of the service. After a restart the model is empty again."""

    histories: SessionHistories
    anomalies: OpenAnomalies = field(
        default_factory=lambda: OpenAnomalies(MAX_SESSIONS_WITH_ANOMALY)
    )
    phase: Phase = "unknown"
    version: str | None = None
    vocabulary: int | None = None
    uptime_s: float | None = None
    cpu: CounterRate = field(default_factory=CounterRate)
    kinds: dict[str, ActorKind] = field(default_factory=dict)
    outages: dict[tuple[str, str], tuple[datetime, str]] = field(default_factory=dict)
    session_count: int = 0
    sessions: dict[SessionKey, SessionFigures] = field(default_factory=dict)
    tenant_count: int = 0
    tenants: dict[str, TenantFigures] = field(default_factory=dict)
    events: StepRate = field(default_factory=StepRate)
    rows: WindowRate = field(default_factory=WindowRate)
    tick: LastTick | None = None
    gaps: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    invalid: int = 0
    refused_rows: int = 0
    dropped_updates: int = 0
    seen_at: datetime | None = None


def combine_processes(processes: Sequence[ProcessModel]) -> ProcessModel:
    """Return what several processes are together; they have the same histories and anomalies."""
    if len(processes) == 1:
        return processes[0]
    newest = max(processes, key=lambda one: one.vocabulary or 0)
    whole = ProcessModel(newest.histories, newest.anomalies)
    whole.phase = next(phase for phase in _PHASES if any(one.phase == phase for one in processes))
    whole.version, whole.vocabulary = newest.version, newest.vocabulary
    whole.uptime_s = max((one.uptime_s for one in processes if one.uptime_s), default=None)
    whole.cpu.per_s = _sum(one.cpu.per_s for one in processes)
    whole.events.per_s = _sum(one.events.per_s for one in processes)
    for one in processes:
        whole.rows.add_all(one.rows)
        whole.session_count += one.session_count
        whole.sessions |= one.sessions
        whole.gaps += one.gaps
        whole.lost += one.lost
        whole.invalid += one.invalid
        whole.refused_rows += one.refused_rows
        whole.dropped_updates += one.dropped_updates
    _combine_actors(whole, processes)
    _combine_tenants(whole, processes)
    _combine_ticks(whole, processes)
    for one in processes:
        for service, outage in one.outages.items():
            whole.outages[service] = min(outage, whole.outages.get(service, outage))
    return whole


def _combine_actors(whole: ProcessModel, processes: Sequence[ProcessModel]) -> None:
    for name in dict.fromkeys(name for one in processes for name in one.kinds):
        kinds = [one.kinds[name] for one in processes if name in one.kinds]
        stats = [kind.stats for kind in kinds if kind.stats is not None]
        together = whole.kinds[name] = ActorKind(merge_events(stats) if stats else None)
        together.rate.per_s = _sum(kind.rate.per_s for kind in kinds)
        together.restarts = sum(kind.restarts for kind in kinds)
        states = [state for kind in kinds for state in (kind.states or {"": "running"}).values()]
        together.states = {f"{number}": state for number, state in enumerate(states)}


def _combine_tenants(whole: ProcessModel, processes: Sequence[ProcessModel]) -> None:
    rows = merge_tenants(row for one in processes for row in one.tenants.values())
    whole.tenants = {row.tenant: row for row in rows}
    whole.tenant_count = max(len(rows), *(one.tenant_count for one in processes))


def _combine_ticks(whole: ProcessModel, processes: Sequence[ProcessModel]) -> None:
    ticks = [one.tick for one in processes if one.tick is not None]
    if ticks:
        whole.tick = LastTick(
            min(tick.at for tick in ticks),
            max(tick.lag_s for tick in ticks),
            max(tick.duration_s for tick in ticks),
            sum(tick.sessions for tick in ticks),
        )


def _sum(rates: Iterable[float | None]) -> float | None:
    """Return the sum of the rates that are known; None if none is."""
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None
