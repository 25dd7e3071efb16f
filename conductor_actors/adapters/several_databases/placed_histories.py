"""What is read afterwards of sessions that are in several databases."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import Final

from msgspec import UNSET

from conductor_actors.adapters.several_databases.placed_exports import PlacedExportReader
from conductor_actors.adapters.several_databases.placement import Placed
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.session_titles import TitleChange
from conductor_actors.errors import Unsupported
from conductor_actors.ports.history_port import (
    EventPosition,
    EventSelection,
    HistoryPorts,
    ScoreChanges,
    SessionPosition,
    SessionSelection,
    SessionStep,
    StoredEvent,
    StoredSession,
    Timeline,
    TimeRange,
)
from conductor_actors.wire.report_bodies import Report

MAX_CHANGES: Final = 5  # of each kind, as of one database


class PlacedConnections:
    """The `HistoryConnections` of all databases."""

    def __init__(self, placed: Placed[HistoryPorts]) -> None:
        self._placed = placed

    async def open(self) -> None:
        """Open the pools of connections."""
        await self._placed.ask_all(lambda ports: ports.connections.open())

    async def close(self) -> None:
        """Close every connection."""
        await self._placed.ask_all(lambda ports: ports.connections.close())

    async def check(self) -> None:
        """Return normally if every database can be read."""
        await self._placed.ask_all(lambda ports: ports.connections.check())


class PlacedSessionReader:
    """A `SessionReader`."""

    def __init__(self, placed: Placed[HistoryPorts]) -> None:
        self._placed = placed

    async def find(
        self, selection: SessionSelection, limit: int, after: SessionPosition | None = None
    ) -> Sequence[StoredSession]:
        """Return at most `limit` sessions after a position, newest start first."""
        found = await self._placed.ask_all(
            lambda ports: ports.sessions.find(selection, limit, after)
        )
        in_order = sorted(
            chain.from_iterable(found), key=lambda one: (-(one.started_ms or 0), one.key.session_id)
        )
        return in_order[:limit]

    async def get(self, key: SessionKey) -> StoredSession | None:
        """Return a session that has rows or a title."""
        return await self._placed.of(key).sessions.get(key)

    async def titled(self, tenant_id: str) -> Sequence[StoredSession]:
        """Return the live and the planned sessions that have a title, or whose event has one."""
        found = await self._placed.ask_all(lambda ports: ports.sessions.titled(tenant_id))
        return [*chain.from_iterable(found)]


class PlacedTitleStore:
    """A `TitleStore`."""

    def __init__(self, placed: Placed[HistoryPorts]) -> None:
        self._placed = placed

    async def write(self, change: TitleChange) -> None:
        """Store a change where the session is; raise `Unsupported` for the title of an event.

        The sessions of an event can be in any database.
        """
        if change.details.event_title is not UNSET:
            raise Unsupported("the title of an event")
        key = SessionKey(change.tenant_id, change.session_id)
        await self._placed.of(key).titles.write(change)


class PlacedTimelineReader:
    """A `TimelineReader`."""

    def __init__(self, placed: Placed[HistoryPorts]) -> None:
        self._placed = placed

    async def read(
        self, key: SessionKey, during: TimeRange, step: timedelta, expected: TimeRange
    ) -> Timeline:
        """Return the timeline of a range of whole steps, oldest first."""
        return await self._placed.of(key).timelines.read(key, during, step, expected)


class PlacedEventReader:
    """An `EventReader`."""

    def __init__(self, placed: Placed[HistoryPorts]) -> None:
        self._placed = placed

    async def find(
        self,
        selection: EventSelection,  # noqa: ARG002 - the port's
        limit: int,  # noqa: ARG002
        after: EventPosition | None = None,  # noqa: ARG002
    ) -> Sequence[StoredEvent]:
        """Raise `Unsupported`: the order of events depends on all of their sessions."""
        raise Unsupported("the list of events")

    async def curves(
        self, tenant_id: str, ends_ms: Mapping[str, int], during: TimeRange, step: timedelta
    ) -> Mapping[str, Sequence[SessionStep]]:
        """Return the steps of several sessions in a range of whole steps, oldest first."""
        found: dict[str, Sequence[SessionStep]] = {}
        for ports, ids in self._placed.by_port(tenant_id, ends_ms):
            own = {each: ends_ms[each] for each in ids}
            found |= await ports.events.curves(tenant_id, own, during, step)
        return found

    async def moments(
        self, tenant_id: str, ends_ms: Mapping[str, int], during: TimeRange
    ) -> ScoreChanges:
        """Return the largest changes of these sessions before their ends."""
        found = []
        for ports, ids in self._placed.by_port(tenant_id, ends_ms):
            own = {each: ends_ms[each] for each in ids}
            found.append(await ports.events.moments(tenant_id, own, during))
        rises = chain.from_iterable(each.rises for each in found)
        falls = chain.from_iterable(each.falls for each in found)
        return ScoreChanges(
            sorted(rises, key=lambda one: -one.change)[:MAX_CHANGES],
            sorted(falls, key=lambda one: one.change)[:MAX_CHANGES],
        )


class PlacedReportReader:
    """A `ReportReader`."""

    def __init__(self, placed: Placed[HistoryPorts]) -> None:
        self._placed = placed

    async def session_report(
        self, key: SessionKey, session_ids: Sequence[str] | None = None
    ) -> Report | None:
        """Return the report of a session, which is compared with no others.

        They can be in any database.
        """
        if session_ids is not None and key.session_id not in session_ids:
            return None
        return await self._placed.of(key).reports.session_report(key, [key.session_id])

    async def event_report(
        self,
        tenant_id: str,  # noqa: ARG002 - the port's
        event_id: str,  # noqa: ARG002
        session_ids: Sequence[str] | None = None,  # noqa: ARG002
    ) -> Report | None:
        """Raise `Unsupported`: its figures are computed by one query."""
        raise Unsupported("the report of an event")


def placed_history_ports(placed: Placed[HistoryPorts]) -> HistoryPorts:
    """Return the ports to all databases."""
    return HistoryPorts(
        PlacedConnections(placed),
        PlacedSessionReader(placed),
        PlacedTitleStore(placed),
        PlacedTimelineReader(placed),
        PlacedEventReader(placed),
        PlacedReportReader(placed),
        PlacedExportReader(placed),
    )
