"""What a trace says of each message that a session has handled: kinds and figures, no texts."""

from collections import Counter
from typing import NamedTuple

import structlog

from conductor_actors.actors.messages import EventBatch, SessionMessage, Tick
from conductor_actors.domain.intake import SessionKey

log = structlog.get_logger()


class Handling(NamedTuple):
    """How a message was handled: how long it took, and how many lines were left out before."""

    duration_s: float
    mailbox_depth: int
    score: float | None
    has_failed: bool
    suppressed: int


def tell(key: SessionKey, message: SessionMessage, handling: Handling) -> None:
    """Write one line."""
    events = message.events if isinstance(message, EventBatch) else ()
    log.info(
        "message_traced",
        actor="session",
        tenant=key[0],
        session=key[1],
        kind=type(message).__name__,
        events=len(events),
        kinds=Counter(type(event).__name__ for event in events),
        tick_at_ms=message.at_ms if isinstance(message, Tick) else None,
        score=handling.score,
        duration_s=round(handling.duration_s, 6),
        mailbox_depth=handling.mailbox_depth,
        has_failed=handling.has_failed,
        suppressed=handling.suppressed,
    )
