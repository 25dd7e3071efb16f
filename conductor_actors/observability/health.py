"""The answers to probes of health and readiness, for every process that has them."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from conductor_actors.observability.collector_status import (
    ClusterHealth,
    CollectorState,
    CollectorStatus,
    GapCount,
)
from conductor_actors.outages import ServiceState


class Health(msgspec.Struct, gc=False):
    """How the process and what it needs are doing.

    Of a collector in this process: how far reading is behind, how old its last checkpoint is, and
    what was never read since the start, by reason. `cluster` is there if hosts share the sessions.
    """

    status: Literal["ok", "standby", "draining"]
    redis: Literal["ok", "away"]
    database: Literal["ok", "away", "unknown"]
    collector: str
    active_sessions: int
    lag_s: float | None
    checkpoint_age_s: float | None
    gaps: dict[str, GapCount]
    cluster: ClusterHealth | msgspec.UnsetType = msgspec.UNSET


class CollectorHealth(msgspec.Struct, gc=False):
    """How a collector that runs alone is doing."""

    status: Literal["ok", "standby", "draining"]
    collector: str


class Readiness(msgspec.Struct, gc=False):
    """Whether updates reach clients now, and if not, why."""

    ready: bool
    reasons: Sequence[str]


class DashboardStatus(NamedTuple):
    """What a dashboard knows of itself and of its servers."""

    is_draining: bool
    redis: ServiceState
    database: ServiceState
    active_sessions: int


class ProbeResponse(NamedTuple):
    """An HTTP status code, and a JSON body."""

    status_code: Literal[200, 503]
    body: bytes


def health(collector: CollectorStatus, dashboard: DashboardStatus | None = None) -> ProbeResponse:
    """Return the health of a process: of its dashboard, or of a collector that runs alone.

    It is healthy if it answers at all: what a restart can't repair is no reason for one.
    """
    if dashboard is None:
        body: object = CollectorHealth(_process_status(collector.state), collector.state)
    else:
        body = Health(
            "draining" if dashboard.is_draining else _process_status(collector.state),
            "ok" if dashboard.redis == "ok" else "away",
            dashboard.database,
            collector.state,
            _active_sessions(collector, dashboard),
            collector.lag_s,
            collector.checkpoint_age_s,
            dict(collector.gaps),
            collector.cluster or msgspec.UNSET,
        )
    return ProbeResponse(200, msgspec.json.encode(body))


def readiness(
    collector: CollectorStatus, dashboard: DashboardStatus | None = None
) -> ProbeResponse:
    """Return whether a process is ready, and the reasons if it is not."""
    reasons = [*collector.obstacles]
    if dashboard is not None and dashboard.is_draining:
        reasons.append("draining")
    if dashboard is not None and dashboard.redis != "ok":
        reasons.append("redis: updates can't be heard")
    body = msgspec.json.encode(Readiness(not reasons, reasons))
    return ProbeResponse(503 if reasons else 200, body)


def _active_sessions(collector: CollectorStatus, dashboard: DashboardStatus) -> int:
    """Return the sessions that hosts score, or else those that the database has as live."""
    sessions = None if collector.cluster is None else collector.cluster.sessions
    return dashboard.active_sessions if sessions is None else sessions


def _process_status(state: CollectorState) -> Literal["ok", "standby", "draining"]:
    return state if state in ("standby", "draining") else "ok"
