"""Store the last checkpoint in Redis: a header, and a hash of sessions, changed together."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, TypeVar

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import Command, pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.key_names import (
    CHECKPOINT_KEY,
    CHECKPOINT_SESSIONS_KEY,
    PARTITION_COUNT_KEY,
    key_of,
)
from conductor_actors.adapters.redis.ownership.checkpoint_errors import partitioned
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.ports import Checkpoint

T = TypeVar("T")

SESSIONS_PER_COMMAND: Final = 500  # so that no single command blocks Redis


class RedisCheckpointStore:
    """A `CheckpointStore`. Every checkpoint records the fence token of its writer."""

    def __init__(self, url: str, fence: Fence, partition: Partition | None = None) -> None:
        self._client = open_client(url, partition=partition)
        self._fence = fence
        self._partition = partition
        self._header_key = key_of(partition, CHECKPOINT_KEY)
        self._sessions_key = key_of(partition, CHECKPOINT_SESSIONS_KEY)
        # Of the last one, and of one that was perhaps committed: the next may add to either.
        self._last_headers: tuple[bytes, ...] = ()

    def load(self) -> Checkpoint | None:
        """Return the last checkpoint in full, if there is one; only the owner may use it.

        Raise `ConfigError` if it is to be of all sessions, and these are in partitions.
        """
        if self._partition is None:
            with mapped_errors():
                [count] = pipeline(self._client, [("GET", PARTITION_COUNT_KEY)])
            if count is not None:
                raise partitioned(int(count))
        return self.read()

    def read(self) -> Checkpoint | None:
        """Return the last checkpoint in full, also if its sessions are to be in partitions."""
        with mapped_errors():
            [header] = pipeline(self._client, [("HGET", self._header_key, "header")])
            if header is None:
                return None
            self._last_headers = (header,)
            return Checkpoint(header, dict(self._sessions()), is_full=True)

    def commit(self, checkpoint: Checkpoint) -> bool:
        """Store a checkpoint in one transaction.

        Return False if it is not full and the one before it is not there: it was deleted, or a
        failover has lost it, and there is an older one. Raise `OwnershipLost` if another process is
        the owner.
        """
        with mapped_errors():
            if not checkpoint.is_full:
                [header] = pipeline(self._client, [("HGET", self._header_key, "header")])
                if header not in self._last_headers:
                    return False
            self._last_headers = (*self._last_headers[:1], checkpoint.header)
            self._fence.transaction(self._client, self._commands(checkpoint))
        self._last_headers = (checkpoint.header,)
        return True

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _commands(self, checkpoint: Checkpoint) -> Sequence[Command]:
        return list(checkpoint_commands(checkpoint, self._partition, self._fence.token))

    def _sessions(self) -> Iterator[tuple[SessionKey, bytes]]:
        cursor = b"0"
        while True:
            scan: Command = ("HSCAN", self._sessions_key, cursor, "COUNT", SESSIONS_PER_COMMAND)
            [(cursor, fields)] = pipeline(self._client, [scan])
            keys = (SessionKey.parse(field.decode()) for field in fields[::2])
            yield from zip(keys, fields[1::2], strict=True)
            if cursor == b"0":
                return


def checkpoint_commands(
    checkpoint: Checkpoint, partition: Partition | None, token: bytes
) -> Iterator[Command]:
    """Return the commands that store a checkpoint; run them in one transaction."""
    sessions_key = key_of(partition, CHECKPOINT_SESSIONS_KEY)
    if checkpoint.is_full:
        yield "DEL", sessions_key
    for keys in _chunks([str(key) for key in checkpoint.ended]):
        yield "HDEL", sessions_key, *keys
    changed = [(str(key), state) for key, state in checkpoint.sessions.items()]
    for pairs in _chunks(changed):
        yield "HSET", sessions_key, *chain.from_iterable(pairs)
    yield "HSET", key_of(partition, CHECKPOINT_KEY), "header", checkpoint.header, "fence", token


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    firsts = range(0, len(items), SESSIONS_PER_COMMAND)
    return (items[first : first + SESSIONS_PER_COMMAND] for first in firsts)
