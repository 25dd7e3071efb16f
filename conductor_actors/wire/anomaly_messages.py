"""Published anomalies: the one definition of their JSON, for the publisher and every subscriber.

After a crash, a message may be published again, with the same `id`. Others may publish anomalies,
too: of them any ISO 8601 time, any type and further keys are read.
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Final, TypeAlias

import msgspec

from conductor_actors.domain.anomalies.changes import AnomalyBegan, AnomalyEnded, Severity
from conductor_actors.domain.identity import Id
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.wire.updates import INVALID_BODY, canonical_timestamp, timestamp

TypeName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Anomaly(msgspec.Struct, rename="camel", gc=False, kw_only=True):
    """`anomaly:detected`: an anomaly of a session's engagement begins at `timestamp`.

    Its `type` is SUDDEN_DROP, GRADUAL_DECLINE, MASS_EXIT or LOW_ENGAGEMENT, unless others publish
    it. They may also leave out `id`, `onset` (when it began, as estimated) and `reason`.
    """

    id: Id | msgspec.UnsetType = msgspec.UNSET
    session_id: Id
    event_id: Id
    tenant_id: str = ""
    timestamp: str
    type: TypeName
    severity: Severity
    anomaly_score: float
    current_engagement: float
    expected_engagement: float
    deviation: float
    signals: dict[str, int | float] = {}
    onset: str | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET


class AnomalyEnd(msgspec.Struct, rename="camel", gc=False, kw_only=True):
    """`anomaly:ended`: the anomaly `id`, which began at `startedAt`, ends at `timestamp`."""

    id: Id
    session_id: Id
    event_id: Id
    tenant_id: str = ""
    timestamp: str
    type: TypeName
    started_at: str
    duration_s: Annotated[float, msgspec.Meta(ge=0)]


AnomalyMessage: TypeAlias = Anomaly | AnomalyEnd

encode_anomaly_message: Final[Callable[[AnomalyMessage], bytes]] = msgspec.json.Encoder().encode
_anomaly_decoder: Final = msgspec.json.Decoder(Anomaly)
_end_decoder: Final = msgspec.json.Decoder(AnomalyEnd)


def anomaly_messages_of(row: ScoreRow) -> Iterator[AnomalyMessage]:
    """Return the messages that are published for the anomalies of a row."""
    for change in row.anomalies:
        match change:
            case AnomalyBegan():
                yield _anomaly(row, change)
            case AnomalyEnded():
                yield _anomaly_end(row, change)


def decode_anomaly(tenant: str, body: bytes) -> Anomaly | None:
    """Decode a message of the tenant's channel `anomaly:detected`; return None if it is invalid.

    Its times are returned as the service itself writes them. Its tenant is the channel's.
    """
    try:
        anomaly = _anomaly_decoder.decode(body)
        anomaly.timestamp = canonical_timestamp(anomaly.timestamp)
        if isinstance(anomaly.onset, str):
            anomaly.onset = canonical_timestamp(anomaly.onset)
    except INVALID_BODY:
        return None
    anomaly.tenant_id = tenant
    return anomaly


def decode_anomaly_end(tenant: str, body: bytes) -> AnomalyEnd | None:
    """Decode a message of the tenant's channel `anomaly:ended`, as `decode_anomaly` does."""
    try:
        end = _end_decoder.decode(body)
        end.timestamp = canonical_timestamp(end.timestamp)
        end.started_at = canonical_timestamp(end.started_at)
    except INVALID_BODY:
        return None
    end.tenant_id = tenant
    return end


def _anomaly(row: ScoreRow, begun: AnomalyBegan) -> Anomaly:
    return Anomaly(
        id=begun.id,
        session_id=row.session_id,
        event_id=row.event_id,
        tenant_id=row.tenant_id,
        timestamp=timestamp(row.at_ms),
        type=begun.type,
        severity=begun.severity,
        anomaly_score=begun.anomaly_score,
        current_engagement=row.score,
        expected_engagement=begun.expected_engagement,
        deviation=begun.deviation,
        signals=msgspec.structs.asdict(row.signals),
        onset=timestamp(begun.onset_ms),
        reason=begun.reason,
    )


def _anomaly_end(row: ScoreRow, ended: AnomalyEnded) -> AnomalyEnd:
    return AnomalyEnd(
        id=ended.id,
        session_id=row.session_id,
        event_id=row.event_id,
        tenant_id=row.tenant_id,
        timestamp=timestamp(row.at_ms),
        type=ended.type,
        started_at=timestamp(ended.began_ms),
        duration_s=(row.at_ms - ended.began_ms) / 1000,
    )
