"""The scores of one session as they are announced, with what adds to them."""

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Final

import msgspec

from conductor_actors.adapters.redis.update_reader import RedisUpdateReader
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Contributions, Signals
from conductor_actors.errors import ConfigError, Unavailable

DEADLINE_S: Final = 1.0


class FollowedScore(msgspec.Struct, frozen=True, rename="camel"):
    """One session's score at one tick, as published."""

    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    session_id: str
    score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    category: str
    signals: Signals
    contributions: Contributions


_update: Final = msgspec.json.Decoder(FollowedScore)


class Updates:
    """The updates of one session at a time; `newest` is None until one has come."""

    def __init__(self, url: str | None) -> None:
        self._reader = RedisUpdateReader(url, DEADLINE_S) if url else None
        self._key: SessionKey | None = None
        self.newest: FollowedScore | None = None

    @property
    def is_possible(self) -> bool:
        """Whether a Redis is known."""
        return self._reader is not None

    def follow(self, key: SessionKey | None) -> None:
        """Follow another session, or none."""
        if key == self._key or self._reader is None:
            return
        self._reader.select(key and key.tenant_id)
        self._key, self.newest = key, None

    def read(self) -> bool:
        """Read what is there, without waiting; return whether there was an update of the session.

        While Redis is away there is none.
        """
        before = self.newest
        if self._reader is not None:
            with suppress(Unavailable, ConfigError):
                for message in self._reader.read():
                    self._take(message.body)
        return self.newest is not before

    def close(self) -> None:
        """Close every connection."""
        if self._reader is not None:
            self._reader.close()

    def _take(self, body: bytes) -> None:
        try:
            update = _update.decode(body)
        except ValueError:  # msgspec's errors are ValueErrors
            return
        if self._key is not None and update.session_id == self._key.session_id:
            self.newest = update
