"""The scores of one session as they are announced, with what adds to them."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
import redis
from redis.client import PubSub

from conductor_actors.adapters.redis.client import open_client
from conductor_actors.adapters.redis.score_feed import UPDATES
from conductor_actors.domain.identity import SessionKey, prefixed
from conductor_actors.domain.scoring import Contributions, Signals

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
    """Listen for one session's updates, at a time; `newest` is None until one has come."""

    def __init__(self, url: str | None) -> None:
        self._client = open_client(url, DEADLINE_S) if url else None
        self._pubsub: PubSub | None = None
        self._key: SessionKey | None = None
        self.newest: FollowedScore | None = None

    @property
    def is_possible(self) -> bool:
        """Tell whether a Redis is known."""
        return self._client is not None

    def follow(self, key: SessionKey | None) -> None:
        """Listen for another session's updates, or for none."""
        if key == self._key or self._client is None:
            return
        self._forget()
        self._key, self.newest = key, None

    def read(self) -> bool:
        """Take what was announced, at once; tell whether there was anything. Redis may be away."""
        before = self.newest
        try:
            self._listen()
        except (redis.RedisError, OSError):
            self._forget()  # the next read begins again
        return self.newest is not before

    def close(self) -> None:
        """Let go of every connection."""
        self._forget()
        if self._client is not None:
            self._client.close()

    def _listen(self) -> None:
        if self._key is None or self._client is None:
            return
        if self._pubsub is None:
            self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
            self._pubsub.subscribe(prefixed(self._key.tenant_id, UPDATES))
        while message := self._pubsub.get_message(timeout=0):
            self._take(message["data"])

    def _take(self, body: bytes) -> None:
        try:
            update = _update.decode(body)
        except ValueError:  # msgspec's errors are ValueErrors
            return
        if self._key is not None and update.session_id == self._key.session_id:
            self.newest = update

    def _forget(self) -> None:
        if self._pubsub is not None:
            self._pubsub.close()
            self._pubsub = None
