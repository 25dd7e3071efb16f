"""Has the session that somebody follows traced, so that its last messages can be shown."""

import time
from typing import Final
from uuid import uuid4

from conductor_actors.adapters.redis.introspection_channel import RedisAsker
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.introspection_protocol import Request
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import Clock

TRACE_S: Final = 30.0
RENEW_EVERY_S: Final = 20.0
DEADLINE_S: Final = 1.0


class Traces:
    """Ask for a trace again and again; without a Redis, or a right to ask, there is none."""

    def __init__(self, url: str | None, clock: Clock = time.monotonic) -> None:
        self._asker = RedisAsker(url, DEADLINE_S) if url else None
        self._clock = clock
        self._key: SessionKey | None = None
        self._due_s = 0.0

    def keep(self, key: SessionKey | None) -> None:
        """Have this session traced, as long as this is called; None for no session."""
        if key != self._key:
            self._key, self._due_s = key, float("-inf")
        if key is None or self._asker is None or self._clock() < self._due_s:
            return
        self._due_s = self._clock() + RENEW_EVERY_S
        try:
            self._asker.ask(Request(uuid4().hex, *key, TRACE_S))
        except (Unavailable, ConfigError):  # the screen shows what else it knows
            return

    def close(self) -> None:
        """Let go of every connection."""
        if self._asker is not None:
            self._asker.close()
