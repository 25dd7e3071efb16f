"""The number of shards that share the sessions of a Redis, and how to change it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from typing import Final, NamedTuple

from redis.exceptions import WatchError

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import (
    Command,
    connection_of,
    pipeline,
    server_time_ms,
)
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.events.event_source import merge_source_positions
from conductor_actors.adapters.redis.key_names import (
    CHECKPOINT_KEY,
    CHECKPOINT_SESSIONS_KEY,
    OWNER_KEY,
    SHARD_COUNT_KEY,
    key_of,
)
from conductor_actors.adapters.redis.outbox import RedisOutbox
from conductor_actors.adapters.redis.ownership.checkpoint_errors import mapped_checkpoint_errors
from conductor_actors.adapters.redis.ownership.checkpoint_store import (
    RedisCheckpointStore,
    checkpoint_commands,
)
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.domain.checkpoints.encoding import encode_header, merge_headers, read_header
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.shards import SINGLE_SHARD, Shard, all_shards, owner_of
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.ports import Checkpoint

RESHARD_TOKEN: Final = b"0"  # the fence token of checkpoints that no owner has written


class _OwnedShard(NamedTuple):
    shard: Shard
    lease: RedisLease
    checkpoint: Checkpoint


class ShardRegistry:
    """Read how many shards there are and who owns them; reshard while no collector runs."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = open_client(url)

    def count(self) -> int | None:
        """Return the number of shards; None if there have never been any sessions."""
        with mapped_errors():
            [count, whole] = pipeline(
                self._client,
                [("GET", SHARD_COUNT_KEY), ("EXISTS", OWNER_KEY, CHECKPOINT_KEY)],
            )
        return int(count) if count else SINGLE_SHARD.of if whole else None

    def owners(self, count: int) -> dict[Shard, str]:
        """Return who owns which of `count` shards; a shard without an owner is missing."""
        with mapped_errors():
            gets = [("GET", key_of(shard, OWNER_KEY)) for shard in all_shards(count)]
            names = zip(all_shards(count), pipeline(self._client, gets), strict=True)
        return {shard: name.decode("utf-8", "replace") for shard, name in names if name}

    def now_ms(self) -> int:
        """Return Redis' time."""
        with mapped_errors():
            [time] = pipeline(self._client, [("TIME",)])
        return server_time_ms(time)

    def require_checkpoints(self, count: int) -> None:
        """Raise `ConfigError` unless each of `count` shards has a checkpoint."""
        keys = [key_of(shard, CHECKPOINT_KEY) for shard in all_shards(count)]
        with mapped_errors():
            found = pipeline(self._client, [("EXISTS", key) for key in keys])
        missing = [key for key, exists in zip(keys, found, strict=True) if not exists]
        if missing:
            raise _missing_checkpoint(missing[0], count)

    def reshard(self, old: int, new: int) -> int:
        """Move the checkpoint of every session to its new shard, in one transaction.

        The old shards must have read up to the same moment, their outboxes must be empty, and no
        collector may run: else raise `Unavailable` or `OwnershipLost`. Return the number of
        sessions.
        """
        with ExitStack() as cleanup:
            owned = [self._acquire(shard, cleanup) for shard in all_shards(old)]
            with mapped_checkpoint_errors():
                headers = [read_header(each.checkpoint.header) for each in owned]
            position = merge_source_positions([header.position for header in headers])
            header = encode_header(merge_headers(headers, position))
            sessions = dict(chain.from_iterable(each.checkpoint.sessions.items() for each in owned))
            self._replace(owned, list(_reshard_commands(old, new, header, sessions)))
        return len(sessions)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _acquire(self, shard: Shard, cleanup: ExitStack) -> _OwnedShard:
        """Become a shard's owner, so that no collector is or can continue as its owner."""
        lease, outbox = RedisLease(self._url, shard), RedisOutbox(self._url, shard)
        cleanup.callback(lease.close)
        cleanup.callback(outbox.close)
        lease.acquire_or_renew()
        cleanup.callback(lease.release)
        if outbox.count_entries():
            raise Unavailable(f"rows wait in the outbox of shard {shard}; start once more")
        checkpoints = RedisCheckpointStore(self._url, lease.fence, shard)
        cleanup.callback(checkpoints.close)
        checkpoint = checkpoints.load()
        if checkpoint is None:
            raise _missing_checkpoint(key_of(shard, CHECKPOINT_KEY), shard.of)
        return _OwnedShard(shard, lease, checkpoint)

    def _replace(self, owned: Sequence[_OwnedShard], commands: Sequence[Command]) -> None:
        """Run the commands in one transaction if all shards are still owned by this process."""
        fences = [each.lease.fence for each in owned]
        watch: Command = ("WATCH", *(fence.key for fence in fences))
        gets = [("GET", fence.key) for fence in fences]
        lost = OwnershipLost("another conductor_actors has taken these events over")
        with mapped_errors(), connection_of(self._client) as connection:
            _, *tokens = connection.pipeline([watch, *gets])
            if tokens != [fence.token for fence in fences]:
                raise lost
            try:
                connection.transaction(commands)
            except WatchError:
                raise lost from None


def _reshard_commands(
    old: int, new: int, header: bytes, sessions: dict[SessionKey, bytes]
) -> Iterator[Command]:
    for shard in (
        *all_shards(old),
        *all_shards(new),
    ):  # with nothing in the way, no command can fail
        yield "DEL", key_of(shard, CHECKPOINT_KEY), key_of(shard, CHECKPOINT_SESSIONS_KEY)
    parts: list[dict[SessionKey, bytes]] = [{} for _ in range(new)]
    for key, state in sessions.items():
        parts[owner_of(key, new)][key] = state
    for shard, part in zip(all_shards(new), parts, strict=True):
        checkpoint = Checkpoint(header, part, is_full=True)
        yield from checkpoint_commands(checkpoint, shard, RESHARD_TOKEN)
    if new == SINGLE_SHARD.of:
        yield "DEL", SHARD_COUNT_KEY
    else:
        yield "SET", SHARD_COUNT_KEY, new


def _missing_checkpoint(key: str, count: int) -> ConfigError:
    return ConfigError(
        f"REDIS_URL: the sessions are shared by {count}, and the checkpoint {key} is not there; "
        f"start with --shards {count} once more, then change it"
    )
