"""Anomalies in memory."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from conductor_actors.ports.anomaly_port import (
    AnomalyFeedback,
    AnomalyPage,
    AnomalySelection,
    StoredAnomaly,
    TypeQuality,
)


class MemoryAnomalies:
    """Find anomalies in `stored`, by id. While `outage` is set, every call raises it."""

    def __init__(self) -> None:
        self.stored: dict[str, StoredAnomaly] = {}
        self.outage: Exception | None = None

    def add(self, *anomalies: StoredAnomaly) -> None:
        self.stored |= {one.id: one for one in anomalies}

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def find(self, selection: AnomalySelection, page: AnomalyPage) -> Sequence[StoredAnomaly]:
        found = self._selected(selection)
        if page.is_newest_first:
            found.reverse()
        if page.is_open is not None:
            found = [one for one in found if (one.ended_ms is None) is page.is_open]
        if page.after is not None:
            newest_first, after = page.is_newest_first, page.after
            found = [
                one
                for one in found
                if (one.position < after if newest_first else one.position > after)
            ]
        return found[: page.limit]

    async def recent(
        self, tenants: Sequence[str], began_since_ms: int, ended_since_ms: int, limit: int
    ) -> Sequence[StoredAnomaly]:
        return [
            one
            for one in reversed(self._in_order())
            if one.tenant_id in tenants
            and one.at_ms >= began_since_ms
            and (one.ended_ms is None or one.ended_ms >= ended_since_ms)
        ][:limit]

    async def quality(self, selection: AnomalySelection) -> Sequence[TypeQuality]:
        by_type: defaultdict[str, list[StoredAnomaly]] = defaultdict(list)
        for one in self._selected(selection):
            by_type[one.type].append(one)
        return [_quality(name, by_type[name]) for name in sorted(by_type)]

    async def store_feedback(
        self,
        tenant_id: str,
        anomaly_id: str,
        session_ids: Sequence[str] | None,
        feedback: AnomalyFeedback,
    ) -> StoredAnomaly | None:
        self._raise_outage()
        former = self.stored.get(anomaly_id)
        if former is None or former.tenant_id != tenant_id:
            return None
        if session_ids is not None and former.session_id not in session_ids:
            return None
        self.stored[anomaly_id] = former._replace(feedback=feedback)
        return former

    def _selected(self, selection: AnomalySelection) -> list[StoredAnomaly]:
        ids, event_id = selection.session_ids, selection.event_id
        return [
            one
            for one in self._in_order()
            if one.tenant_id == selection.tenant_id
            and selection.first_ms <= one.at_ms < selection.until_ms
            and (ids is None or one.session_id in ids)
            and (event_id is None or one.event_id == event_id)
        ]

    def _in_order(self) -> list[StoredAnomaly]:
        self._raise_outage()
        return sorted(self.stored.values(), key=lambda one: one.position)

    def _raise_outage(self) -> None:
        if self.outage is not None:
            raise self.outage


def _quality(name: str, anomalies: Sequence[StoredAnomaly]) -> TypeQuality:
    verdicts = [one.feedback.verdict for one in anomalies if one.feedback]
    durations_s = [(one.ended_ms - one.at_ms) / 1000 for one in anomalies if one.ended_ms]
    return TypeQuality(
        name,
        len(anomalies),
        len(verdicts),
        verdicts.count("not_a_problem"),
        median(durations_s) if durations_s else None,
    )
