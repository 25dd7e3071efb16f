"""The introspection channel in Redis: both ends of it.

A request is one PUBLISH of JSON on `conductor:requests`. Every collector receives it and pushes one
answer, JSON too, to the list `conductor:answer:<id>`, which expires after a minute. The number of
subscribers that PUBLISH returns is therefore the number of answers that will come.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.liveness import Deadlines
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.events.subscription import Subscription, Subscriptions
from conductor_actors.adapters.redis.key_names import ANSWER_PREFIX, REQUEST_CHANNEL
from conductor_actors.domain.introspection_protocol import (
    IntrospectionAnswer,
    IntrospectionRequest,
)
from conductor_actors.errors import ConfigError, Unavailable

ANSWER_TTL_MS: Final = 60_000
CHANNEL_TIMEOUT_S: Final = 1.0
READ_WAIT_S: Final = 0.25
CHANNEL_DEADLINES: Final = Deadlines(quiet_s=5.0, pong_within_s=2.0)
MAX_REQUESTS_PER_READ: Final = 20
CLIENT_TIMEOUT_S: Final = 10.0  # longer than any wait for an answer

_request_decoder: Final = msgspec.json.Decoder(IntrospectionRequest)
_answer_decoder: Final = msgspec.json.Decoder(IntrospectionAnswer)


class RedisIntrospectionChannel:
    """The collector's end: it reads requests on a connection of its own and sends answers."""

    def __init__(self, url: str, deadlines: Deadlines = CHANNEL_DEADLINES) -> None:
        self._client = open_client(url, CHANNEL_TIMEOUT_S)
        self._deadlines = deadlines
        self._subscription: Subscription | None = None

    def read(self) -> Sequence[IntrospectionRequest]:
        """Return the requests since the last call, waiting a fraction of a second for one.

        Messages that are no requests are ignored.
        """
        try:
            if self._subscription is None:
                channel = Subscriptions([REQUEST_CHANNEL])
                self._subscription = Subscription(self._client, channel, self._deadlines)
            messages = self._subscription.read(READ_WAIT_S, MAX_REQUESTS_PER_READ)
        except (Unavailable, ConfigError):
            self._unsubscribe()
            raise
        return [request for *_, body in messages if (request := _decode_request(body))]

    def send(self, answer: IntrospectionAnswer) -> None:
        """Store an answer for a minute, in which its requester can fetch it."""
        key = f"{ANSWER_PREFIX}{answer.id}"
        push = ("RPUSH", key, msgspec.json.encode(answer))
        with mapped_errors():
            pipeline(self._client, [("MULTI",), push, ("PEXPIRE", key, ANSWER_TTL_MS), ("EXEC",)])

    def close(self) -> None:
        """Close every connection."""
        self._unsubscribe()
        self._client.close()

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None


class RedisIntrospectionClient:
    """The requester's end: it sends requests and fetches the answers."""

    def __init__(self, url: str, timeout_s: float = CLIENT_TIMEOUT_S) -> None:
        self._client = open_client(url, timeout_s)

    def send(self, request: IntrospectionRequest) -> int:
        """Send a request; return how many collectors received it."""
        with mapped_errors():
            body = msgspec.json.encode(request)
            [receivers] = pipeline(self._client, [("PUBLISH", REQUEST_CHANNEL, body)])
        return int(receivers)

    def next_answer(
        self, request: IntrospectionRequest, wait_s: float
    ) -> IntrospectionAnswer | None:
        """Return the next answer; None if none comes in time."""
        with mapped_errors():
            command = ("BLPOP", f"{ANSWER_PREFIX}{request.id}", wait_s)
            [popped] = pipeline(self._client, [command])
        return None if popped is None else _answer_decoder.decode(popped[1])

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


def _decode_request(body: bytes) -> IntrospectionRequest | None:
    try:
        return _request_decoder.decode(body)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
