"""What a process that has lost its ownership without noticing can't do any more.

Whoever takes the lease counts `conductor:fence` up, in the same transaction. What the owner alone
may do runs in a transaction that Redis gives up when the number is another one by then: so a
process that was stopped in mid-sentence does not finish it when it wakes up.
"""

from collections.abc import Sequence
from threading import Lock
from typing import Any

import redis
from redis.exceptions import ResponseError

from conductor_actors.adapters.redis.client import Command, pinned_connection
from conductor_actors.adapters.redis.key_names import FENCE_KEY, key_of
from conductor_actors.domain.shards import WHOLE, Shard
from conductor_actors.errors import OwnershipLost, Unavailable


class Fence:
    """The number under which this process owns the data, empty before it ever did.

    Threads share it. Whoever changes the number in Redis holds `changing` until it is here, too.
    """

    def __init__(self, shard: Shard = WHOLE) -> None:
        self.name = key_of(shard, FENCE_KEY)
        self.number = b""
        self.changing = Lock()

    def guarded(self, client: redis.Redis, commands: Sequence[Command]) -> Sequence[Any]:
        """Run commands in one transaction, if this process is still the owner.

        Raise `OwnershipLost` if it is not, and `Unavailable` if Redis has forgotten who is: the
        lease is then taken again.
        """
        replies: Sequence[Any] | None = None
        while replies is None:
            with pinned_connection(client) as send:
                _, number = send([("WATCH", self.name), ("GET", self.name)])
                if self._is_ours(number):
                    replies = send([("MULTI",), *commands, ("EXEC",)])[-1]
                else:
                    send([("UNWATCH",)])
                    break
        if replies is None:
            raise _loss(number)
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        return replies

    def _is_ours(self, number: bytes | None) -> bool:
        if number == self.number:
            return True
        with self.changing:
            return number == self.number


def _loss(number: bytes | None) -> Exception:
    if number is None:
        return Unavailable("redis: it has forgotten who owns these events")
    return OwnershipLost("another conductor_actors owns these events")
