"""The stored anomalies of sessions that are in several databases."""

from collections.abc import Sequence
from itertools import chain

from conductor_actors.adapters.several_databases.placement import Placed
from conductor_actors.errors import Unsupported
from conductor_actors.ports.anomaly_port import (
    AnomalyFeedback,
    AnomalyPage,
    AnomalySelection,
    AnomalyStore,
    StoredAnomaly,
    TypeQuality,
)


class PlacedAnomalyStore:
    """An `AnomalyStore`."""

    def __init__(self, placed: Placed[AnomalyStore]) -> None:
        self._placed = placed

    async def open(self) -> None:
        """Open the pools of connections; the first call connects."""
        await self._placed.ask_all(lambda port: port.open())

    async def close(self) -> None:
        """Close every connection."""
        await self._placed.ask_all(lambda port: port.close())

    async def find(self, selection: AnomalySelection, page: AnomalyPage) -> Sequence[StoredAnomaly]:
        """Return a page of the anomalies."""
        found = chain.from_iterable(
            await self._placed.ask_all(lambda port: port.find(selection, page))
        )
        in_order = sorted(found, key=lambda one: one.position, reverse=page.is_newest_first)
        return in_order[: page.limit]

    async def recent(
        self, tenants: Sequence[str], began_since_ms: int, ended_since_ms: int, limit: int
    ) -> Sequence[StoredAnomaly]:
        """Return anomalies of some tenants, newest first, that are open or ended recently."""
        found = chain.from_iterable(
            await self._placed.ask_all(
                lambda port: port.recent(tenants, began_since_ms, ended_since_ms, limit)
            )
        )
        return sorted(found, key=lambda one: one.position, reverse=True)[:limit]

    async def quality(self, _: AnomalySelection) -> Sequence[TypeQuality]:
        """Raise `Unsupported`: medians of several databases can't be put together."""
        raise Unsupported("the quality of anomalies")

    async def store_feedback(
        self,
        tenant_id: str,
        anomaly_id: str,
        session_ids: Sequence[str] | None,
        feedback: AnomalyFeedback,
    ) -> StoredAnomaly | None:
        """Replace the feedback on an anomaly; return the anomaly with its former feedback."""
        found = await self._placed.ask_all(
            lambda port: port.store_feedback(tenant_id, anomaly_id, session_ids, feedback)
        )
        return next((one for one in found if one is not None), None)
