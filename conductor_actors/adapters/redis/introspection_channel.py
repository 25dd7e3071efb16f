"""Questions about sessions, and their answers, through Redis.

A request is one PUBLISH of JSON on `conductor:requests`; every collector hears it, and leaves one
answer, JSON too, in the list `conductor:answer:<id>`, which is gone after a minute. So whoever
asks knows by the number of listeners how many answers will come.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final

import msgspec

from conductor_actors.adapters.redis.client import mapped_errors, open_client, pipeline
from conductor_actors.domain.introspection_protocol import Answer, Request
from conductor_actors.errors import Unavailable

CHANNEL: Final = "conductor:requests"
ANSWERS: Final = "conductor:answer:"
KEPT_MS: Final = 60_000
DEADLINE_S: Final = 1.0
QUIET_S: Final = 0.25
PING_AFTER_S: Final = 5.0
PONG_WITHIN_S: Final = 2.0
MOST_REQUESTS: Final = 20  # at a time; who asks more often waits
ASK_DEADLINE_S: Final = 10.0  # longer than any wait for an answer

_request: Final = msgspec.json.Decoder(Request)
_answer: Final = msgspec.json.Decoder(Answer)


class IntrospectionChannel:
    """Hear questions on a connection of its own, which has a deadline; leave answers."""

    def __init__(
        self, url: str, ping_after_s: float = PING_AFTER_S, pong_within_s: float = PONG_WITHIN_S
    ) -> None:
        self._client = open_client(url, DEADLINE_S)
        self._ping_after_s = ping_after_s
        self._pong_within_s = pong_within_s
        self._connection: Any = None  # redis-py's kinds of connection
        self._heard_s = 0.0
        self._pinged_s: float | None = None

    def take(self) -> Sequence[Request]:
        """Give what was asked since the last call, waiting a fraction of a second for it.

        What is no request is passed over.
        """
        with ExitStack() as on_failure, mapped_errors():
            on_failure.callback(self._disconnect)
            if self._connection is None:
                self._subscribe()
            requests = self._read()
            on_failure.pop_all()
        return requests

    def answer(self, answer: Answer) -> None:
        """Leave an answer for whoever asked, for a minute."""
        key = f"{ANSWERS}{answer.id}"
        push = ("RPUSH", key, msgspec.json.encode(answer))
        with mapped_errors():
            pipeline(self._client, [("MULTI",), push, ("PEXPIRE", key, KEPT_MS), ("EXEC",)])

    def close(self) -> None:
        """Let go of every connection."""
        self._disconnect()
        self._client.close()

    def _subscribe(self) -> None:
        self._connection = self._client.connection_pool.get_connection()
        self._connection.send_command("SUBSCRIBE", CHANNEL)
        self._connection.read_response()
        self._heard_s, self._pinged_s = time.monotonic(), None

    def _read(self) -> list[Request]:
        requests: list[Request] = []
        wait_s = QUIET_S
        while len(requests) < MOST_REQUESTS and self._connection.can_read(timeout=wait_s):
            wait_s = 0
            kind, *rest = self._connection.read_response()
            self._heard_s, self._pinged_s = time.monotonic(), None
            request = _request_of(rest[-1]) if kind == b"message" else None
            if request is not None:
                requests.append(request)
        self._require_life()
        return requests

    def _require_life(self) -> None:
        """Ask a connection that is quiet for long whether it lives: TCP would not say."""
        now_s = time.monotonic()
        if self._pinged_s is not None and now_s - self._pinged_s > self._pong_within_s:
            raise Unavailable("redis: pub/sub does not answer")
        if self._pinged_s is None and now_s - self._heard_s > self._ping_after_s:
            self._pinged_s = now_s
            self._connection.send_command("PING", check_health=False)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
            self._client.connection_pool.release(connection)


class RedisAsker:
    """Ask the collectors that listen at a Redis."""

    def __init__(self, url: str, deadline_s: float = ASK_DEADLINE_S) -> None:
        self._client = open_client(url, deadline_s)

    def ask(self, request: Request) -> int:
        """Ask; return how many will answer."""
        with mapped_errors():
            asked = pipeline(self._client, [("PUBLISH", CHANNEL, msgspec.json.encode(request))])
        return int(asked[0])

    def next_answer(self, request: Request, timeout_s: float) -> Answer | None:
        """Wait for the next answer; None if none came in time."""
        with mapped_errors():
            command = ("BLPOP", f"{ANSWERS}{request.id}", timeout_s)
            [popped] = pipeline(self._client, [command])
        return None if popped is None else _answer.decode(popped[1])

    def close(self) -> None:
        """Let go of every connection."""
        self._client.close()


def _request_of(body: bytes) -> Request | None:
    try:
        return _request.decode(body)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
