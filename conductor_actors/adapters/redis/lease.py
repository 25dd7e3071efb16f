"""One process at a time owns the events of a Redis: a key that expires unless it is renewed."""

import os
import socket
import uuid
from collections.abc import Sequence
from typing import Any, Final

from conductor_actors.adapters.redis.client import (
    Command,
    Send,
    mapped_errors,
    open_client,
    pinned_connection,
    pipeline,
)
from conductor_actors.adapters.redis.fence import Fence
from conductor_actors.adapters.redis.key_names import (
    CHECKPOINT_KEY,
    OWNER_KEY,
    SHARD_COUNT_KEY,
    key_of,
)
from conductor_actors.domain.shards import WHOLE, Shard
from conductor_actors.errors import ConfigError, OwnershipLost

EXPIRES_AFTER_MS: Final = 8000


class RedisLease:
    """A `Lease`. Its value says who has it: host, process id, and a random part.

    Taking it counts the fence up, and is refused while the sessions are shared otherwise. Who was
    the owner once and finds that another was it since never becomes it again: what it knows is old.
    """

    def __init__(self, url: str, shard: Shard = WHOLE) -> None:
        self._client = open_client(url)
        self._shard = shard
        self._name = key_of(shard, OWNER_KEY)
        self._token = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}".encode()
        self._claim: Command = ("SET", self._name, self._token, "PX", EXPIRES_AFTER_MS)
        self.fence = Fence(shard)

    def hold(self) -> None:
        """Acquire or renew the lease; raise `OwnershipLost` naming its owner."""
        is_held = None
        while is_held is None:  # somebody else was faster, or it has just expired: look again
            with mapped_errors(), pinned_connection(self._client) as send:
                is_held = self._try_to_hold(send)
        if not is_held:
            owner = self.owner() or "by now gone"
            raise OwnershipLost(f"another conductor_actors ({owner}) owns these events")

    def release(self) -> None:
        """Release the lease, so that the next process need not wait."""
        with mapped_errors(), pinned_connection(self._client) as send:
            if send([("WATCH", self._name), ("GET", self._name)])[-1] == self._token:
                send([("MULTI",), ("DEL", self._name), ("EXEC",)])
            else:
                send([("UNWATCH",)])

    def owner(self) -> str:
        """Return its owner as host:pid:random; empty if there is none."""
        with mapped_errors():
            [value] = pipeline(self._client, [("GET", self._name)])
        return (value or b"").decode("utf-8", "replace")

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _try_to_hold(self, send: Send) -> bool | None:
        """Return whether the lease is ours; None if a watched key changed meanwhile."""
        keys = self._name, self.fence.name, SHARD_COUNT_KEY
        others = () if self._shard == WHOLE else (OWNER_KEY, CHECKPOINT_KEY)
        watch: Command = ("WATCH", *keys, *others)
        _, owner, number, count, (seconds, _) = send([watch, *_gets(keys), ("TIME",)])
        self._require_count(send, count)
        is_known = number is not None and number == self.fence.number
        if owner == self._token and is_known:
            return _done(send([("MULTI",), ("PEXPIRE", self._name, EXPIRES_AFTER_MS), ("EXEC",)]))
        if owner is None and is_known:  # it had expired, and nobody took it
            return _done(send([("MULTI",), self._claim, ("EXEC",)]))
        was_another = number is not None and self.fence.number != b""
        if owner not in (None, self._token) or (owner is None and was_another):
            send([("UNWATCH",)])
            return False
        return self._take(send, int(seconds))

    def _require_count(self, send: Send, count: bytes | None) -> None:
        """Refuse while others share the sessions otherwise, or their checkpoints do."""
        wanted = b"%d" % self._shard.of
        if count is None:
            is_whole = wanted != b"1" and any(send([("EXISTS", OWNER_KEY, CHECKPOINT_KEY)]))
            count = b"1" if is_whole else wanted
        if count != wanted:
            send([("UNWATCH",)])
            raise ConfigError(
                f"CONDUCTOR_SHARD={self._shard}: the sessions in this Redis are shared by "
                f"{count.decode()}; start that many, or stop them and run "
                f"`python -m conductor_actors reshard --shards {self._shard.of}`"
            )

    def _take(self, send: Send, now_s: int) -> bool | None:
        """Acquire it under a new number; Redis' clock makes the first, so none is used twice."""
        fence = self.fence.name
        with self.fence.changing:
            first: Command = ("SET", fence, now_s * 1000, "NX")
            counted = [("SET", SHARD_COUNT_KEY, self._shard.of)] if self._shard.of > 1 else []
            commands = [self._claim, *counted, first, ("INCR", fence)]
            replies = send([("MULTI",), *commands, ("EXEC",)])[-1]
            if replies is None:
                return None
            self.fence.number = b"%d" % replies[-1]
        return True


def _done(replies: Sequence[Any]) -> bool | None:
    """Return True if a transaction was executed; None if it was not."""
    return None if replies[-1] is None else True


def _gets(keys: tuple[str, ...]) -> list[Command]:
    return [("GET", key) for key in keys]
