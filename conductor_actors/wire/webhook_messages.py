"""The events that are sent to webhooks: the one definition of their ids and JSON.

A body is what the Standard Webhooks specification recommends: `type`, `timestamp` and `data`.
"""

from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple, TypeAlias
from uuid import NAMESPACE_URL, uuid5

import msgspec

from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.wire.anomaly_messages import (
    Anomaly,
    anomaly_messages_of,
    encode_anomaly_message,
)
from conductor_actors.wire.updates import timestamp

WebhookType: TypeAlias = Literal["session.ended", "anomaly.began", "anomaly.ended"]

SESSION_ENDED: Final = "session.ended"
TEST_TYPE: Final = "webhook.test"


class WebhookEvent(NamedTuple):
    """An event of a session that its tenant's webhook is to receive, once.

    Of events of one session at one time, the one with the lower `position` is first. `body` is
    None if it is made when the event is sent.
    """

    id: str
    key: SessionKey
    type: WebhookType
    occurred_ms: int
    position: int
    body: bytes | None


class _Body(msgspec.Struct):
    type: str
    timestamp: str
    data: msgspec.Raw


_encode_body: Final[Callable[[_Body], bytes]] = msgspec.json.Encoder().encode


def webhook_events_of(row: ScoreRow) -> Iterator[WebhookEvent]:
    """Return the events of a row: of a row that is stored again, the same."""
    position = 0
    for position, message in enumerate(anomaly_messages_of(row), start=1):
        kind: WebhookType = "anomaly.began" if isinstance(message, Anomaly) else "anomaly.ended"
        body = webhook_body(kind, row.at_ms, encode_anomaly_message(message))
        event_id = _event_id(f"{kind}/{message.id}")
        yield WebhookEvent(event_id, row.key, kind, row.at_ms, position, body)
    if row.is_last:
        yield session_ended(row.key, row.at_ms, position + 1)


def session_ended(key: SessionKey, ended_ms: int, position: int = 1) -> WebhookEvent:
    """Return the event that a session ended with the row at `ended_ms`.

    A session that begins anew ends again, with another row.
    """
    event_id = _event_id(f"{SESSION_ENDED}/{key}/{ended_ms}")
    return WebhookEvent(event_id, key, SESSION_ENDED, ended_ms, position, None)


def webhook_body(kind: str, at_ms: int, data: bytes) -> bytes:
    """Return the body of an event whose `data` is this JSON."""
    return _encode_body(_Body(kind, timestamp(at_ms), msgspec.Raw(data)))


def _event_id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"conductor_actors/webhook/{name}"))
