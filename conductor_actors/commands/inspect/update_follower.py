"""Read the published scores of one session, with what adds to them."""

from contextlib import suppress
from typing import Final

from conductor_actors.adapters.redis.updates.update_reader import RedisUpdateReader
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import PublishedMessage
from conductor_actors.wire.updates import Update, decode_update

CONNECT_TIMEOUT_S: Final = 1.0


class UpdateFollower:
    """Follows one session at a time; `newest` is None until its first update is read."""

    def __init__(self, url: str | None) -> None:
        self._reader = RedisUpdateReader(url, CONNECT_TIMEOUT_S) if url else None
        self._key: SessionKey | None = None
        self.newest: Update | None = None

    @property
    def can_read(self) -> bool:
        """Whether there is a Redis to read from."""
        return self._reader is not None

    def follow(self, key: SessionKey | None) -> None:
        """Follow another session, or none."""
        if key == self._key or self._reader is None:
            return
        self._reader.select(key and key.tenant_id)
        self._key, self.newest = key, None

    def read(self) -> bool:
        """Read the updates that are there; return whether one was of the session.

        While Redis is away there is none.
        """
        before = self.newest
        if self._reader is not None:
            with suppress(Unavailable, ConfigError):
                for message in self._reader.read():
                    self._receive(message)
        return self.newest is not before

    def close(self) -> None:
        """Close every connection."""
        if self._reader is not None:
            self._reader.close()

    def _receive(self, message: PublishedMessage) -> None:
        update = decode_update(message.tenant, message.body)
        if update is not None and self._key == (update.tenant_id, update.session_id):
            self.newest = update
