"""What is known of a service at one moment: the document that `--json` prints and the screen shows.

Keys are an interface: they are only added. What is not known yet is null.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

FORMAT: Final = 1

Phase = Literal["unknown", "running", "draining", "stopped"]


class LineCounts(msgspec.Struct, frozen=True):
    """The lines: how many were read, were none of ours, and are known to be missing."""

    read: int
    ignored: int
    dropped: int


class ServiceState(msgspec.Struct, frozen=True):
    """The process. `vocabulary` is the version of its lines, `cpu_share` 1.0 for a whole core."""

    phase: Phase
    version: str | None
    vocabulary: int | None
    uptime_s: float | None
    cpu_share: float | None


class LastTick(msgspec.Struct, frozen=True):
    """The last one: its time, how late it came, how long all sessions took."""

    at: datetime
    lag_s: float
    duration_s: float
    sessions: int


class Flow(msgspec.Struct, frozen=True):
    """What goes in and out; `gaps` and what follows counts since the first line read."""

    events_per_s: float | None
    rows_per_s: float | None
    tick: LastTick | None
    gaps: int
    lost_events: int
    invalid_events: int
    refused_rows: int
    dropped_updates: int


class ServiceOutage(msgspec.Struct, frozen=True):
    """A service that is away."""

    service: str
    error: str
    began_at: datetime


class Actor(msgspec.Struct, frozen=True):
    """A kind of actor. `failures` counts since its start, `restarts` since the first line read."""

    kind: str
    state: str
    count: int
    mailbox_depth: int
    handled_per_s: float | None
    oldest_s: float
    failures: int
    restarts: int


class Session(msgspec.Struct, frozen=True):
    """A session; failures and restarts count since the first line read. Figures may be unknown.

    `state`: running, restarting, quarantined, passivating, stopped. `busy_share` is that of one
    thread's time, `handling_s` what a message took in the mean.
    """

    tenant: str
    session: str
    state: str
    mailbox_depth: int | None = None
    handled_per_s: float | None = None
    busy_share: float | None = None
    oldest_s: float | None = None
    refused: int | None = None
    failures: int = 0
    restarts: int = 0
    last_error: str | None = None
    handling_s: float | None = None


class Tenant(msgspec.Struct, frozen=True):
    """A tenant: its sessions together."""

    tenant: str
    sessions: int
    quarantined: int
    mailbox_depth: int
    handled_per_s: float
    busy_share: float
    oldest_s: float
    refused: int
    gaps: int
    lost_events: int
    handling_s: float | None = None


class Incident(msgspec.Struct, frozen=True):
    """Something that was said of one session."""

    at: datetime
    event: str
    detail: str


class TracedMessage(msgspec.Struct, frozen=True):
    """A message that a traced session handled; of a batch of events, how many of each kind."""

    at: datetime
    kind: str
    kinds: dict[str, int]
    duration_s: float
    score: float | None
    has_failed: bool


class Followed(msgspec.Struct, frozen=True):
    """The session that was asked for, and what was said of it, oldest first.

    `messages` are there while it is traced, as it is while somebody follows it on a screen.
    """

    session: Session
    incidents: Sequence[Incident]
    messages: Sequence[TracedMessage] = ()


class Report(msgspec.Struct, frozen=True):
    """All of it. `since` and `at` are the times of the first and the newest line."""

    format: int
    since: datetime | None
    at: datetime | None
    silent_s: float | None
    lines: LineCounts
    service: ServiceState
    flow: Flow
    outages: Sequence[ServiceOutage]
    actors: Sequence[Actor]
    session_count: int
    sessions: Sequence[Session]
    tenant_count: int
    tenants: Sequence[Tenant]
    followed: Followed | None = None
