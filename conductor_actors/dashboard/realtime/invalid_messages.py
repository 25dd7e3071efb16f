"""Published messages that can't be read: counted, and logged once a minute with the reason."""

import re
from typing import Final

import msgspec

from conductor_actors.log_events import MessagesUnreadable, emit
from conductor_actors.ports import (
    ANOMALIES,
    ANOMALIES_ENDED,
    UPDATES,
    Clock,
    PublishedMessage,
)
from conductor_actors.wire.anomaly_messages import Anomaly, AnomalyEnd
from conductor_actors.wire.intervention_bodies import SessionEvent
from conductor_actors.wire.updates import Update

UNREADABLE_REPORT_INTERVAL_S: Final = 60.0

_TYPES: Final = {UPDATES: Update, ANOMALIES: Anomaly, ANOMALIES_ENDED: AnomalyEnd}
_PLACE: Final = re.compile(r"(required field `\w+`|`\$[^`]{1,100}`)")


class InvalidMessages:
    """Logs the first message that can't be read at once, and then at most one line a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reported_s = float("-inf")
        self._unreported = 0

    def add(self, message: PublishedMessage) -> None:
        """Add a message that can't be read."""
        self._unreported += 1
        now_s = self._clock()
        if now_s - self._reported_s < UNREADABLE_REPORT_INTERVAL_S:
            return
        emit(
            MessagesUnreadable(
                tenant=message.tenant,
                source=message.name,
                reason=_reason(message),
                messages=self._unreported,
            )
        )
        self._reported_s, self._unreported = now_s, 0


def _reason(message: PublishedMessage) -> str:
    """Return why a message can't be read, without its text."""
    try:
        msgspec.json.decode(message.body, type=_TYPES.get(message.name, SessionEvent))
    except msgspec.ValidationError as error:
        found = _PLACE.search(str(error))
        return f"missing or invalid: {found[0]}" if found else "not a JSON object of this kind"
    except (ValueError, RecursionError):
        return "not JSON"
    return "a time is not ISO 8601"
