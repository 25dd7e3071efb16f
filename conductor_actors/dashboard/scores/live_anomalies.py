"""The open anomalies of watched sessions, and those that ended in the last five minutes.

They are known from published messages, and from the database: at the start, after an outage, and
at intervals, because a message may be missed.
"""

from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple, TypeAlias

from conductor_actors.dashboard.bodies import AnomalyRecord, encode
from conductor_actors.dashboard.scores.anomaly_records import (
    end_of,
    feedback_body,
    instant_ms,
    published_record,
    stored_record,
)
from conductor_actors.dashboard.scores.live_sessions import HISTORY_S
from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports import Clock
from conductor_actors.ports.anomaly_port import AnomalyFeedback, StoredAnomaly
from conductor_actors.wire.anomaly_messages import Anomaly, AnomalyEnd

MAX_OPEN_S: Final = 24 * 3600.0  # since its begin; then nobody needs to know
MAX_UNSTORED_S: Final = 600.0  # that the database, when read, does not have an open anomaly
MAX_ANOMALIES_PER_SESSION: Final = 32

# Its id; without one, its type and begin.
_Key: TypeAlias = tuple[str, ...]


class _LiveAnomaly:
    """An anomaly with its record, encoded."""

    def __init__(self, record: AnomalyRecord, now_s: float) -> None:
        began_s = instant_ms(record.timestamp) / 1000
        has_end = isinstance(record.id, str)
        self.record = record
        self.body = encode(record)
        self.expires_s = min(began_s, now_s) + (MAX_OPEN_S if has_end else HISTORY_S)
        self.unstored_since_s: float | None = None
        if record.ended_at is not None:
            self.expires_s = instant_ms(record.ended_at) / 1000 + HISTORY_S

    @property
    def is_open(self) -> bool:
        """Whether its end is not known yet."""
        return self.record.ended_at is None

    def end(self, end: AnomalyEnd) -> None:
        """Record its end."""
        self.record.ended_at, self.record.duration_s = end.timestamp, end.duration_s
        self.expires_s = instant_ms(end.timestamp) / 1000 + HISTORY_S
        self.body = encode(self.record)


class MissedMessages(NamedTuple):
    """What was published, and not received."""

    begun: Sequence[AnomalyRecord]
    ended: Sequence[AnomalyEnd]


class LiveAnomalies:
    """All anomalies that are open or ended recently. `clock` returns seconds since 1970."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tenants: dict[str, dict[str, dict[_Key, _LiveAnomaly]]] = {}

    def __len__(self) -> int:
        return sum(one.is_open for _, found in self._sessions() for one in found.values())

    def begin(self, anomaly: Anomaly) -> bool:
        """Add an anomaly; return False if it is known."""
        return self._add(published_record(anomaly))

    def end(self, end: AnomalyEnd) -> bool:
        """End an anomaly; return False if it is known to be over."""
        found = self._session(end.tenant_id, end.session_id).get((end.id,))
        if found is None:
            return True
        if not found.is_open:
            return False
        found.end(end)
        return True

    def set_feedback(self, stored: StoredAnomaly, feedback: AnomalyFeedback) -> None:
        """Add feedback to a stored anomaly, if it is one of these."""
        found = self._session(stored.tenant_id, stored.session_id).get((stored.id,))
        if found is not None:
            found.record.feedback = feedback_body(feedback)
            found.body = encode(found.record)

    def merge(
        self, stored: Sequence[StoredAnomaly], tenants: Collection[str], *, is_complete: bool
    ) -> MissedMessages:
        """Add what the database has of some tenants; return what subscribers must be sent.

        Unless it `is_complete`, an open anomaly that the database does not have may be stored.
        """
        begun, ended = [], []
        for one in sorted(stored, key=lambda each: each.position):
            record = stored_record(one)
            found = self._session(one.tenant_id, one.session_id).get((one.id,))
            if found is None:
                begun.append(record)
            if (end := self._replace(record, found)) is not None:
                ended.append(end)
        if is_complete:
            ended += self._end_unstored({one.id for one in stored}, tenants)
        return MissedMessages(begun, ended)

    def open(self, tenant: str, session_ids: AbstractSet[str]) -> list[bytes]:
        """Return the open anomalies of these sessions of a tenant, oldest first."""
        sessions = self._tenants.get(tenant, {})
        found = [one for each in sessions.keys() & session_ids for one in sessions[each].values()]
        return _bodies(one for one in found if one.is_open)

    def recent(self, key: SessionKey) -> list[bytes]:
        """Return a session's anomalies that are open or ended recently, oldest first."""
        now_s = self._clock()
        return _bodies(one for one in self._session(*key).values() if one.expires_s > now_s)

    def session_of(self, tenant: str, anomaly_id: str) -> str | None:
        """Return the session of an anomaly, if it is one of these."""
        sessions = self._tenants.get(tenant, {})
        return next((each for each, found in sessions.items() if (anomaly_id,) in found), None)

    def forget(self, tenant: str) -> None:
        """Remove all anomalies of a tenant."""
        self._tenants.pop(tenant, None)

    def remove_expired(self) -> None:
        """Remove the anomalies that ended long ago, or whose end will not be known."""
        now_s = self._clock()
        for key, found in list(self._sessions()):
            for each in [each for each, one in found.items() if one.expires_s <= now_s]:
                del found[each]
            if not found:
                del self._tenants[key.tenant_id][key.session_id]
        self._tenants = {name: sessions for name, sessions in self._tenants.items() if sessions}

    def _session(self, tenant_id: str, session_id: str) -> dict[_Key, _LiveAnomaly]:
        return self._tenants.get(tenant_id, {}).get(session_id, {})

    def _sessions(self) -> Iterable[tuple[SessionKey, dict[_Key, _LiveAnomaly]]]:
        for tenant_id, sessions in self._tenants.items():
            for session_id, found in sessions.items():
                yield SessionKey(tenant_id, session_id), found

    def _add(self, record: AnomalyRecord) -> bool:
        tenant = self._tenants.setdefault(record.tenant_id, {})
        found = tenant.setdefault(record.session_id, {})
        key = _key(record)
        if key in found:
            return False
        found[key] = _LiveAnomaly(record, self._clock())
        if len(found) > MAX_ANOMALIES_PER_SESSION:
            del found[next(iter(found))]
        return True

    def _replace(self, record: AnomalyRecord, found: _LiveAnomaly | None) -> AnomalyEnd | None:
        """Replace a record by the stored one; return its end if that was not known."""
        if found is None:
            self._add(record)
            return _end_of(record)
        found.unstored_since_s = None
        found.record.feedback = record.feedback
        found.body = encode(found.record)
        end = _end_of(record) if found.is_open else None
        if end is not None:
            found.end(end)
        return end

    def _end_unstored(self, stored_ids: set[str], tenants: Collection[str]) -> Iterable[AnomalyEnd]:
        """End each open anomaly that has not been stored for too long: its end was missed."""
        now_s = self._clock()
        for key, found in self._sessions():
            for one in found.values() if key.tenant_id in tenants else ():
                if not one.is_open or one.record.id in stored_ids:
                    continue
                if one.unstored_since_s is None:
                    one.unstored_since_s = now_s
                elif now_s - one.unstored_since_s >= MAX_UNSTORED_S:
                    end = end_of(one.record, round(now_s * 1000))
                    if end is not None:
                        one.end(end)
                        yield end


def _bodies(anomalies: Iterable[_LiveAnomaly]) -> list[bytes]:
    return [one.body for one in sorted(anomalies, key=_begin_and_session)]


def _begin_and_session(anomaly: _LiveAnomaly) -> tuple[str, str]:
    return anomaly.record.timestamp, anomaly.record.session_id


def _end_of(record: AnomalyRecord) -> AnomalyEnd | None:
    return None if record.ended_at is None else end_of(record, instant_ms(record.ended_at))


def _key(record: AnomalyRecord) -> _Key:
    return (record.id,) if isinstance(record.id, str) else (record.type, record.timestamp)
