"""By how many collectors the sessions of a Redis are shared, and the change of that."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from typing import Final, NamedTuple

from conductor_actors.adapters.redis.checkpoint_errors import mapped_checkpoint_errors
from conductor_actors.adapters.redis.checkpoint_store import RedisCheckpointStore, stored
from conductor_actors.adapters.redis.client import (
    Command,
    mapped_errors,
    open_client,
    pinned_connection,
    pipeline,
)
from conductor_actors.adapters.redis.event_source import joined_positions
from conductor_actors.adapters.redis.key_names import (
    CHECKPOINT_KEY,
    CHECKPOINT_SESSIONS_KEY,
    OWNER_KEY,
    SHARD_COUNT_KEY,
    key_of,
)
from conductor_actors.adapters.redis.lease import RedisLease
from conductor_actors.adapters.redis.outbox import RedisOutbox
from conductor_actors.domain.checkpoints import encode_header, joined, read_header
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.shards import WHOLE, Shard, owner, shards
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.ports import Checkpoint

NO_CHECKPOINT: Final = b"0"


class _Held(NamedTuple):
    shard: Shard
    lease: RedisLease
    checkpoint: Checkpoint


class ShardRegistry:
    """Who shares the sessions now, and a way to have others do so, while nobody owns any."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = open_client(url)

    def count(self) -> int | None:
        """Return how many collectors share the sessions; None if there never was one."""
        with mapped_errors():
            [count, whole] = pipeline(
                self._client,
                [("GET", SHARD_COUNT_KEY), ("EXISTS", OWNER_KEY, CHECKPOINT_KEY)],
            )
        return int(count) if count else WHOLE.of if whole else None

    def owners(self, count: int) -> dict[Shard, str]:
        """Return the shards that have a lease, and the name of its owner."""
        with mapped_errors():
            names = [key_of(shard, OWNER_KEY) for shard in shards(count)]
            found = pipeline(self._client, [("GET", name) for name in names])
        said = zip(shards(count), found, strict=True)
        return {shard: name.decode("utf-8", "replace") for shard, name in said if name}

    def now_ms(self) -> int:
        """Return Redis' clock."""
        with mapped_errors():
            [(seconds, micros)] = pipeline(self._client, [("TIME",)])
        return int(seconds) * 1000 + int(micros) // 1000

    def require_checkpoints(self, count: int) -> None:
        """Raise `ConfigError` unless each of so many has left one."""
        with mapped_errors():
            names = [key_of(shard, CHECKPOINT_KEY) for shard in shards(count)]
            found = pipeline(self._client, [("EXISTS", name) for name in names])
        missing = [name for name, is_there in zip(names, found, strict=True) if not is_there]
        if missing:
            raise _missing(missing[0], count)

    def change(self, old: int, new: int) -> int:
        """Move every session's checkpoint to its new shard in one transaction; return how many.

        The old shards must all have read up to the same moment.
        """
        with ExitStack() as at_the_end:
            held = [self._take(shard, at_the_end) for shard in shards(old)]
            with mapped_checkpoint_errors():
                headers = [read_header(each.checkpoint.header) for each in held]
            position = joined_positions([header.position for header in headers])
            header = encode_header(joined(headers, position))
            sessions = dict(chain.from_iterable(each.checkpoint.sessions.items() for each in held))
            self._swap(held, list(_commands(old, new, header, sessions)))
        return len(sessions)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _take(self, shard: Shard, at_the_end: ExitStack) -> _Held:
        """Become a shard's owner, so that nobody else is or can go on as if they were."""
        lease, outbox = RedisLease(self._url, shard), RedisOutbox(self._url, shard)
        at_the_end.callback(lease.close)
        at_the_end.callback(outbox.close)
        lease.hold()
        at_the_end.callback(lease.release)
        if outbox.size():
            raise Unavailable(f"rows wait in the outbox of shard {shard}; start once more")
        checkpoints = RedisCheckpointStore(self._url, lease.fence, shard)
        at_the_end.callback(checkpoints.close)
        checkpoint = checkpoints.load()
        if checkpoint is None:
            raise _missing(key_of(shard, CHECKPOINT_KEY), shard.of)
        return _Held(shard, lease, checkpoint)

    def _swap(self, held: Sequence[_Held], commands: Sequence[Command]) -> None:
        names = [each.lease.fence.name for each in held]
        with mapped_errors(), pinned_connection(self._client) as send:
            _, *numbers = send([("WATCH", *names), *(("GET", name) for name in names)])
            is_ours = numbers == [each.lease.fence.number for each in held]
            if not is_ours or send([("MULTI",), *commands, ("EXEC",)])[-1] is None:
                raise OwnershipLost("another conductor_actors has taken these events over")


def _commands(
    old: int, new: int, header: bytes, sessions: dict[SessionKey, bytes]
) -> Iterator[Command]:
    for shard in shards(old):
        yield "DEL", key_of(shard, CHECKPOINT_KEY), key_of(shard, CHECKPOINT_SESSIONS_KEY)
    parts: list[dict[SessionKey, bytes]] = [{} for _ in range(new)]
    for key, state in sessions.items():
        parts[owner(key, new)][key] = state
    for shard, part in zip(shards(new), parts, strict=True):
        yield from stored(Checkpoint(header, part, is_full=True), shard, NO_CHECKPOINT)
    if new == WHOLE.of:
        yield "DEL", SHARD_COUNT_KEY
    else:
        yield "SET", SHARD_COUNT_KEY, new


def _missing(name: str, count: int) -> ConfigError:
    return ConfigError(
        f"REDIS_URL: the sessions are shared by {count}, and the checkpoint {name} is not there; "
        f"start with --shards {count} once more, then change it"
    )
