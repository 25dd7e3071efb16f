"""Announce scores with PUBLISH, and keep dead letters in a capped stream."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from conductor_actors.adapters.redis.client import Command, mapped_errors, open_client
from conductor_actors.adapters.redis.fence import Fence
from conductor_actors.adapters.redis.key_names import DEAD_LETTERS_KEY
from conductor_actors.domain.identity import prefixed
from conductor_actors.domain.scoring import Contributions, ScoreRow, Signals
from conductor_actors.instants import to_iso
from conductor_actors.ports import DeadLetter

UPDATES: Final = "engagement:update"
MOST_DEAD_LETTERS: Final = 10_000
BODY_BYTES: Final = 256


class _Update(msgspec.Struct, rename="camel", gc=False):
    timestamp: str
    tenant_id: str
    session_id: str
    event_id: str
    score: float
    category: str
    signals: Signals
    contributions: Contributions


class RedisScoreFeed:
    """A `ScoreFeed` and `DeadLetterBox`: commands packed by hiredis, a batch at a time.

    Who is not the owner any more announces nothing, and keeps nothing: the new owner meets it, too.
    """

    def __init__(self, url: str, fence: Fence) -> None:
        self._client = open_client(url)
        self._fence = fence
        self._encoder = msgspec.json.Encoder()

    def publish(self, rows: Sequence[ScoreRow]) -> None:
        """Announce the rows, each on its tenant's channel."""
        commands = [("PUBLISH", _channel(row.tenant_id), self._body(row)) for row in rows]
        with mapped_errors():
            self._fence.guarded(self._client, commands)

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Store the letters; of each body the first 256 bytes."""
        with mapped_errors():
            self._fence.guarded(self._client, [_xadd(letter) for letter in letters])

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _body(self, row: ScoreRow) -> bytes:
        return self._encoder.encode(
            _Update(
                _timestamp(row.at_ms),
                row.tenant_id,
                row.session_id,
                row.event_id,
                row.score,
                row.category,
                row.signals,
                row.contributions,
            )
        )


@lru_cache(1024)
def _channel(tenant_id: str) -> str:
    return prefixed(tenant_id, UPDATES)


@lru_cache(64)  # a tick's rows have the same
def _timestamp(at_ms: int) -> str:
    return to_iso(at_ms, "milliseconds")


def _xadd(letter: DeadLetter) -> Command:
    return (
        *("XADD", DEAD_LETTERS_KEY, "MAXLEN", "~", MOST_DEAD_LETTERS, "*"),
        *("source", letter.source, "entry_id", letter.entry_id),
        *("reason", letter.reason, "body", letter.body[:BODY_BYTES]),
    )
