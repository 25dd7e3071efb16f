"""One process at a time owns the events of a Redis: a key that expires unless it is renewed."""

import os
import socket
import uuid
from collections.abc import Sequence
from typing import Any, Final

from conductor_actors.adapters import redis_fence
from conductor_actors.adapters.redis_client import (
    Command,
    Say,
    conversation,
    exchange,
    open_client,
    translated,
)
from conductor_actors.adapters.redis_fence import Fence
from conductor_actors.errors import OwnershipLost

NAME: Final = "conductor:owner"
EXPIRES_AFTER_MS: Final = 8000


class RedisLease:
    """A `Lease`. Its value says who has it: host, process id, and a random part.

    Taking it counts the fence up. Who was the owner once and finds that another was it since
    never becomes it again: what it knows is old.
    """

    def __init__(self, url: str) -> None:
        self._client = open_client(url)
        self._token = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}".encode()
        self._claim: Command = ("SET", NAME, self._token, "PX", EXPIRES_AFTER_MS)
        self.fence = Fence()

    def hold(self) -> None:
        """Take or renew the lease; raise `OwnershipLost` naming who has it."""
        is_held = None
        while is_held is None:  # somebody else was faster, or it has just expired: look again
            with translated(), conversation(self._client) as say:
                is_held = self._try_to_hold(say)
        if not is_held:
            owner = self.owner() or "by now gone"
            raise OwnershipLost(f"another conductor_actors ({owner}) owns these events")

    def release(self) -> None:
        """Give it up, so that the next process need not wait."""
        with translated(), conversation(self._client) as say:
            if say([("WATCH", NAME), ("GET", NAME)])[-1] == self._token:
                say([("MULTI",), ("DEL", NAME), ("EXEC",)])
            else:
                say([("UNWATCH",)])

    def owner(self) -> str:
        """Say who has it: host:pid:random, or nothing."""
        with translated():
            [value] = exchange(self._client, [("GET", NAME)])
        return (value or b"").decode("utf-8", "replace")

    def close(self) -> None:
        """Let go of every connection."""
        self._client.close()

    def _try_to_hold(self, say: Say) -> bool | None:
        """Tell whether it is ours now; None if that changed meanwhile."""
        keys = NAME, redis_fence.NAME
        _, owner, number, (seconds, _) = say([("WATCH", *keys), *_gets(keys), ("TIME",)])
        is_known = number is not None and number == self.fence.number
        if owner == self._token and is_known:
            return _done(say([("MULTI",), ("PEXPIRE", NAME, EXPIRES_AFTER_MS), ("EXEC",)]))
        if owner is None and is_known:  # it had expired, and nobody took it
            return _done(say([("MULTI",), self._claim, ("EXEC",)]))
        was_another = number is not None and self.fence.number != b""
        if owner not in (None, self._token) or (owner is None and was_another):
            say([("UNWATCH",)])
            return False
        return self._take(say, int(seconds))

    def _take(self, say: Say, now_s: int) -> bool | None:
        """Take it under a new number. Redis' clock makes the first, so that none comes twice."""
        fence = redis_fence.NAME
        with self.fence.changing:
            first: Command = ("SET", fence, now_s * 1000, "NX")
            replies = say([("MULTI",), self._claim, first, ("INCR", fence), ("EXEC",)])[-1]
            if replies is None:
                return None
            self.fence.number = b"%d" % replies[-1]
        return True


def _done(replies: Sequence[Any]) -> bool | None:
    """Tell whether a transaction was carried out; None if it was not."""
    return None if replies[-1] is None else True


def _gets(keys: tuple[str, ...]) -> list[Command]:
    return [("GET", key) for key in keys]
