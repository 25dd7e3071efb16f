"""The status of a collector: what health and readiness report, whichever process reports it."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

CollectorState: TypeAlias = Literal[
    "starting", "standby", "running", "stalled", "draining", "elsewhere"
]


class GapCount(msgspec.Struct, gc=False, omit_defaults=True):
    """How many gaps were logged, and how many events were never read, as far as that is known.

    Of the reason `clock` no events are lost: `ahead_entries` are those that counted when they were
    read, because their ids are ahead of Redis' clock.
    """

    gaps: int
    lost_events: int
    ahead_entries: int = 0


_NO_GAPS: Final[Mapping[str, GapCount]] = MappingProxyType({})


class ClusterHealth(msgspec.Struct, gc=False, frozen=True):
    """The hosts that share the sessions. What only the coordinator knows is None while it is away.

    `without_owner` are the partitions that nobody scores.
    """

    nodes: int | None
    hosts: int | None
    partitions: int
    without_owner: Sequence[int]
    sessions: int | None


class CollectorStatus(NamedTuple):
    """What a process knows of the collector; the defaults are for one in another process.

    `obstacles` are the reasons why it is not ready. `lag_s` is how far reading is behind Redis'
    clock, and `gaps` are those since the start, by reason. `cluster` is what hosts have that share
    the sessions.
    """

    state: CollectorState = "elsewhere"
    obstacles: Sequence[str] = ()
    lag_s: float | None = None
    checkpoint_age_s: float | None = None
    gaps: Mapping[str, GapCount] = _NO_GAPS
    cluster: ClusterHealth | None = None


# Called by any thread.
StatusReader: TypeAlias = Callable[[], CollectorStatus]
