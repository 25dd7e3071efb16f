"""Prevent writes of a process that has lost its lease without noticing.

A new owner increases the fence token in `conductor:fence`, in the transaction that takes the lease.
Writes that only the owner may do run in a transaction that Redis aborts if the token has changed,
or in a script that compares it: a process that was suspended halfway does not finish its write when
it resumes.
"""

from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from typing import Any

import redis
from redis.exceptions import WatchError

from conductor_actors.adapters.redis.connections.pipelines import (
    Command,
    connection_of,
    pipeline,
)
from conductor_actors.adapters.redis.key_names import FENCE_KEY, key_of
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.errors import OwnershipLost, Unavailable


class Fence:
    """The token under which this process owns the data; empty until it has had the lease.

    Threads share it. Hold `lock` to change the token in Redis and here.
    """

    def __init__(self, partition: Partition | None = None) -> None:
        self.partition = partition
        self.key = key_of(partition, FENCE_KEY)
        self.token = b""
        self.lock = Lock()

    def transaction(self, client: redis.Redis, commands: Sequence[Command]) -> Sequence[Any]:
        """Run commands in one transaction if this process is the owner; return their replies.

        Raise `OwnershipLost` if another process is, and `Unavailable` if Redis has lost the token:
        the lease is then taken again.
        """
        while True:
            with connection_of(client) as connection, suppress(WatchError):
                _, token = connection.pipeline([("WATCH", self.key), ("GET", self.key)])
                self._require_current(token)
                return connection.transaction(commands)

    def run_script(
        self, client: redis.Redis, script: str, arguments: Sequence[Any], *keys: str
    ) -> Sequence[Any]:
        """Run a script that changes nothing unless this process is the owner; return its results.

        It gets this key and token as its first key and argument, before `keys` and `arguments`, and
        returns a list: the owner's token, then its results. Raise what `transaction` raises. With
        EVAL, servers need not know the script beforehand.
        """
        while True:
            token = self.token
            all_keys = self.key, *keys
            command = ("EVAL", script, len(all_keys), *all_keys, token, *arguments)
            [reply] = pipeline(client, [command])
            found, results = reply[0], reply[1:]
            if found == token:
                return list(results)
            self._require_current(found)  # another thread has just taken the lease again

    def _require_current(self, token: bytes | None) -> None:
        if token is None:
            raise Unavailable("redis: it has forgotten who owns these events")
        if not self._is_current(token):
            raise OwnershipLost("another conductor_actors owns these events")

    def _is_current(self, token: bytes) -> bool:
        if token == self.token:
            return True
        with self.lock:
            return token == self.token
