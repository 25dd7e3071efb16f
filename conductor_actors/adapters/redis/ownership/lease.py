"""The lease: a key with a time to live. Its owner alone processes the events of a Redis."""

import os
import socket
import uuid
from contextlib import suppress
from typing import Final

from redis.exceptions import WatchError

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import (
    Command,
    RedisConnection,
    connection_of,
    pipeline,
    server_time_ms,
)
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.key_names import (
    OWNER_KEY,
    key_of,
)
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.adapters.redis.ownership.fence_mirror import FenceMirror
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.errors import OwnershipLost

LEASE_TTL_MS: Final = 8000


class RedisLease:
    """A `Lease`. The value of its key names the owner, who has it for all or for a partition.

    Taking the lease increases the fence token. It is refused to a former owner once another process
    has had the lease: the state of the former owner is stale.
    """

    def __init__(
        self,
        url: str,
        partition: Partition | None = None,
        owner: str | None = None,
        mirror: FenceMirror | None = None,
    ) -> None:
        """With `mirror`, the fence token is kept there as well.

        Without a name, the owner is called by its machine, its process id and a random part.
        """
        self._client = open_client(url, partition=partition)
        self._key = key_of(partition, OWNER_KEY)
        self._owner = (owner or _process_name()).encode()
        self._claim: Command = ("SET", self._key, self._owner, "PX", LEASE_TTL_MS)
        self._is_given_up = False
        self._mirror = mirror
        self.fence = Fence(partition)

    def acquire_or_renew(self) -> None:
        """Acquire or renew the lease; raise `OwnershipLost` naming the owner if another has it."""
        if not self._is_acquired():
            if self._is_given_up:
                raise OwnershipLost("this process has given up the lease")
            owner = self.owner() or "by now gone"
            raise OwnershipLost(f"another conductor_actors ({owner}) owns these events")
        if self._mirror is not None:
            self._mirror.restore(self.fence.token)

    def release(self) -> None:
        """Delete the lease if this process has it, so that the next process need not wait."""
        self._delete_from(self._owner)

    def give_up(self) -> None:
        """Release the lease and never acquire it again, whatever other threads do."""
        self._is_given_up = True
        self.release()

    def break_from(self, owner: str) -> None:
        """Delete the lease of an owner that is known to have ended, if it still has it."""
        self._delete_from(owner.encode())

    def owner(self) -> str:
        """Return the name of the owner, empty if there is none."""
        with mapped_errors():
            [owner] = pipeline(self._client, [("GET", self._key)])
        return (owner or b"").decode("utf-8", "replace")

    def close(self) -> None:
        """Close every connection."""
        self._client.close()
        if self._mirror is not None:
            self._mirror.close()

    def _delete_from(self, owner: bytes) -> None:
        with mapped_errors(), connection_of(self._client) as connection, suppress(WatchError):
            _, found = connection.pipeline([("WATCH", self._key), ("GET", self._key)])
            if found == owner:
                connection.transaction([("DEL", self._key)])
            else:
                connection.pipeline([("UNWATCH",)])

    def _is_acquired(self) -> bool:
        while True:
            with mapped_errors(), connection_of(self._client) as connection, suppress(WatchError):
                return self._try_to_acquire(connection)

    def _try_to_acquire(self, connection: RedisConnection) -> bool:
        """Return whether this process has the lease now."""
        keys = self._key, self.fence.key
        gets = [("GET", key) for key in keys]
        _, owner, token, time = connection.pipeline([("WATCH", *keys), *gets, ("TIME",)])
        if self._is_given_up:  # a release since then aborts the transactions below
            connection.pipeline([("UNWATCH",)])
            return False
        is_current = token is not None and token == self.fence.token
        if owner == self._owner and is_current:
            connection.transaction([("PEXPIRE", self._key, LEASE_TTL_MS)])
            return True
        if owner is None and is_current:  # it expired, and no other process has taken it
            connection.transaction([self._claim])
            return True
        is_superseded = token is not None and self.fence.token != b""
        if owner not in (None, self._owner) or (owner is None and is_superseded):
            connection.pipeline([("UNWATCH",)])
            return False
        self._take(connection, token, server_time_ms(time))
        return True

    def _take(self, connection: RedisConnection, found: bytes | None, now_ms: int) -> None:
        """Write the lease and a token that is newer than the one that was found.

        The first token is Redis' time, so that a Redis that lost its data repeats none.
        """
        before = [("SET", self.fence.key, now_ms)] if found is None else []
        if self._mirror is not None:
            newest, stored = self._mirror.newest(), found or b"%d" % now_ms
            if stored.isdigit() and newest > int(stored):  # a failover has lost tokens
                before = [("SET", self.fence.key, newest)]
        with self.fence.lock:
            replies = connection.transaction([self._claim, *before, ("INCR", self.fence.key)])
            token = b"%d" % replies[-1]
            if self._mirror is not None:
                self._mirror.store(token)
            self.fence.token = token


def _process_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
