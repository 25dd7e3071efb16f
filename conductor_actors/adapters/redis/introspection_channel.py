"""The introspection channel in Redis: both ends of it.

A request is one PUBLISH of JSON on `conductor:requests`. Every collector receives it and pushes one
answer, JSON too, to the list `conductor:answer:<id>`, which expires after a minute. The number of
subscribers that PUBLISH returns is therefore the number of answers that will come.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final

import msgspec

from conductor_actors.adapters.redis.client import mapped_errors, open_client, pipeline
from conductor_actors.domain.introspection_protocol import (
    IntrospectionAnswer,
    IntrospectionRequest,
)
from conductor_actors.errors import Unavailable

REQUEST_CHANNEL: Final = "conductor:requests"
ANSWER_PREFIX: Final = "conductor:answer:"
ANSWER_TTL_MS: Final = 60_000
CHANNEL_TIMEOUT_S: Final = 1.0
READ_WAIT_S: Final = 0.25
PING_AFTER_S: Final = 5.0
PONG_WITHIN_S: Final = 2.0
MAX_REQUESTS_PER_READ: Final = 20
CLIENT_TIMEOUT_S: Final = 10.0  # longer than any wait for an answer

_request_decoder: Final = msgspec.json.Decoder(IntrospectionRequest)
_answer_decoder: Final = msgspec.json.Decoder(IntrospectionAnswer)


class RedisIntrospectionChannel:
    """The collector's end: it reads requests on a connection of its own and sends answers."""

    def __init__(
        self, url: str, ping_after_s: float = PING_AFTER_S, pong_within_s: float = PONG_WITHIN_S
    ) -> None:
        self._client = open_client(url, CHANNEL_TIMEOUT_S)
        self._ping_after_s = ping_after_s
        self._pong_within_s = pong_within_s
        self._connection: Any = None  # redis-py's kinds of connection
        self._received_s = 0.0
        self._pinged_s: float | None = None

    def read(self) -> Sequence[IntrospectionRequest]:
        """Return the requests since the last call, waiting a fraction of a second for one.

        Messages that are no requests are ignored.
        """
        with ExitStack() as on_failure, mapped_errors():
            on_failure.callback(self._disconnect)
            if self._connection is None:
                self._subscribe()
            requests = self._read_requests()
            on_failure.pop_all()
        return requests

    def send(self, answer: IntrospectionAnswer) -> None:
        """Store an answer for a minute, in which its requester can fetch it."""
        key = f"{ANSWER_PREFIX}{answer.id}"
        push = ("RPUSH", key, msgspec.json.encode(answer))
        with mapped_errors():
            pipeline(self._client, [("MULTI",), push, ("PEXPIRE", key, ANSWER_TTL_MS), ("EXEC",)])

    def close(self) -> None:
        """Close every connection."""
        self._disconnect()
        self._client.close()

    def _subscribe(self) -> None:
        self._connection = self._client.connection_pool.get_connection()
        self._connection.send_command("SUBSCRIBE", REQUEST_CHANNEL)
        self._connection.read_response()
        self._received_s, self._pinged_s = time.monotonic(), None

    def _read_requests(self) -> list[IntrospectionRequest]:
        requests: list[IntrospectionRequest] = []
        wait_s = READ_WAIT_S
        while len(requests) < MAX_REQUESTS_PER_READ and self._connection.can_read(timeout=wait_s):
            wait_s = 0
            kind, *rest = self._connection.read_response()
            self._received_s, self._pinged_s = time.monotonic(), None
            request = _decode_request(rest[-1]) if kind == b"message" else None
            if request is not None:
                requests.append(request)
        self._require_live_connection()
        return requests

    def _require_live_connection(self) -> None:
        """Ping a connection that is quiet for long; TCP alone does not report that it is dead."""
        now_s = time.monotonic()
        if self._pinged_s is not None and now_s - self._pinged_s > self._pong_within_s:
            raise Unavailable("redis: pub/sub does not answer")
        if self._pinged_s is None and now_s - self._received_s > self._ping_after_s:
            self._pinged_s = now_s
            self._connection.send_command("PING", check_health=False)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
            self._client.connection_pool.release(connection)


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
