"""Renew the trace of the followed session while it is on the screen."""

import time
from typing import Final
from uuid import uuid4

from conductor_actors.adapters.redis.introspection_channel import RedisIntrospectionClient
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.introspection_protocol import IntrospectionRequest
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import Clock

TRACE_S: Final = 30.0
TRACE_RENEWAL_S: Final = 20.0
TRACE_REQUEST_TIMEOUT_S: Final = 1.0


class TraceRenewal:
    """Renews the trace of the followed session. During an outage of Redis it is not traced."""

    def __init__(self, url: str | None, clock: Clock = time.monotonic) -> None:
        self._client = RedisIntrospectionClient(url, TRACE_REQUEST_TIMEOUT_S) if url else None
        self._clock = clock
        self._key: SessionKey | None = None
        self._due_s = 0.0

    def renew(self, key: SessionKey | None) -> None:
        """Request a trace of this session if one is due; call it several times a second."""
        if key != self._key:
            self._key, self._due_s = key, float("-inf")
        if key is None or self._client is None or self._clock() < self._due_s:
            return
        self._due_s = self._clock() + TRACE_RENEWAL_S
        try:
            self._client.send(IntrospectionRequest(uuid4().hex, *key, TRACE_S))
        except (Unavailable, ConfigError):  # the screen then shows no messages
            return

    def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            self._client.close()
