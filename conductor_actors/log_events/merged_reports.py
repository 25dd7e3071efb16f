"""One report instead of several: of all partitions of a host, or of all hosts of a cluster."""

from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest
from operator import attrgetter
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET

from conductor_actors.log_events.actor_events import (
    ActorStats,
    SessionFigures,
    SessionStats,
    TenantFigures,
    TenantStats,
)
from conductor_actors.log_events.data_events import (
    BatchWritten,
    CheckpointCommitted,
    EventsRouted,
    SessionsSummarised,
    TickCompleted,
    TitlesStored,
)
from conductor_actors.log_events.log_event import LogEvent

MAX_RANKED_SESSIONS: Final = 20  # in each figure, and of those that do not run
MAX_MERGED_TENANTS: Final = 50

E = TypeVar("E", bound=LogEvent)
R = TypeVar("R", SessionFigures, TenantFigures)

# Of other numbers, such as delays, the highest is that of all.
_SUMMED: Final[Mapping[type[LogEvent], Sequence[str]]] = {
    ActorStats: ("count", "mailbox_depth", "handled", "failures", "quarantined", "refused"),
    BatchWritten: ("rows", "new_rows"),
    CheckpointCommitted: ("sessions", "ended", "size_bytes"),
    EventsRouted: ("events", "skipped", "sessions"),
    SessionStats: ("count",),
    SessionsSummarised: ("sessions",),
    TickCompleted: ("sessions",),
    TitlesStored: ("titles",),
}
_LOWEST: Final[Mapping[type[LogEvent], Sequence[str]]] = {TickCompleted: ("tick_at_ms",)}
_RANKINGS: Final = ("mailbox_depth", "oldest_s", "busy_share", "handled_per_s")


def merge_events(events: Sequence[E]) -> E:
    """Return the report of all whose reports, of one kind, are given; at least one is."""
    if len(events) == 1:
        return events[0]
    kind = type(events[0])
    summed, lowest = _SUMMED.get(kind, ()), _LOWEST.get(kind, ())
    merged: dict[str, Any] = {}
    for name in kind.__struct_fields__:
        values = [value for event in events if (value := getattr(event, name)) is not UNSET]
        if name in summed:
            merged[name] = sum(values) if values else UNSET
        elif name in lowest:
            merged[name] = min(values)
        elif values and isinstance(values[0], int | float):
            merged[name] = max(values)
        elif name == "sessions":
            merged[name] = leading_sessions(row for rows in values for row in rows)
        elif name == "tenants":
            merged[name] = merge_tenants(row for rows in values for row in rows)
    if isinstance(events[0], TenantStats):
        merged["count"] = max(merged["count"], len(merged["tenants"]))
    return msgspec.structs.replace(events[0], **merged)


def leading_sessions(rows: Iterable[SessionFigures]) -> list[SessionFigures]:
    """Return the sessions that lead in a figure, and those that do not run."""
    known = [*rows]
    leading = [row for row in known if row.state != "running"][:MAX_RANKED_SESSIONS]
    for figure in _RANKINGS:
        leading += nlargest(MAX_RANKED_SESSIONS, known, key=attrgetter(figure))
    return [*{(row.tenant, row.session): row for row in leading}.values()]


def merge_tenants(rows: Iterable[TenantFigures]) -> list[TenantFigures]:
    """Return the figures of each tenant together, the busiest tenants first."""
    tenants: dict[str, TenantFigures] = {}
    for row in rows:
        known = tenants.get(row.tenant)
        tenants[row.tenant] = row if known is None else _add_tenant(known, row)
    return nlargest(
        MAX_MERGED_TENANTS, tenants.values(), key=attrgetter("mailbox_depth", "busy_share")
    )


def _add_tenant(known: TenantFigures, row: TenantFigures) -> TenantFigures:
    return TenantFigures(
        known.tenant,
        known.sessions + row.sessions,
        known.quarantined + row.quarantined,
        known.mailbox_depth + row.mailbox_depth,
        round(known.handled_per_s + row.handled_per_s, 2),
        round(known.busy_share + row.busy_share, 7),
        max(known.oldest_s, row.oldest_s),
        known.refused + row.refused,
    )
