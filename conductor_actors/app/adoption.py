"""Share out among partitions what a single collector had: its sessions, and where it stopped."""

from collections import defaultdict
from contextlib import ExitStack, closing

import msgspec

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.events.event_source import frontier_of
from conductor_actors.adapters.redis.key_names import (
    CHECKPOINT_KEY,
    OUTBOX_KEY,
    SPLITTER_KEY,
    TITLE_OUTBOX_KEY,
    key_of,
)
from conductor_actors.adapters.redis.ownership.checkpoint_errors import mapped_checkpoint_errors
from conductor_actors.adapters.redis.ownership.checkpoint_store import RedisCheckpointStore
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.adapters.redis.partitions.partition_checkpoints import PartitionCheckpoints
from conductor_actors.adapters.redis.partitions.partition_position import (
    PartitionPosition,
    encode_position,
)
from conductor_actors.adapters.redis.partitions.splitter_checkpoints import (
    SplitterCheckpoint,
    SplitterCheckpoints,
)
from conductor_actors.app.partition_urls import partition_redis_urls
from conductor_actors.domain.checkpoints.encoding import Header, encode_header, read_header
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.partitions.partition import Partition, all_partitions, partition_of
from conductor_actors.domain.partitions.splitting import SplitterState
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.log_events import CheckpointAdopted, emit
from conductor_actors.ports import Checkpoint
from conductor_actors.settings import Settings


def adopt_checkpoint(settings: Settings, redis_url: str) -> None:
    """Make the checkpoint of a single collector those of the partitions, if there is one.

    Call it before anything else reads partitions. Raise `Unavailable` while that collector runs,
    or some of its rows wait for the database: call again later.
    """
    if not needs_adoption(redis_url):
        return
    with ExitStack() as cleanup:
        lease = RedisLease(redis_url)
        cleanup.callback(lease.close)
        _acquire(lease, "stop the collector that has all sessions: its checkpoint is taken over")
        cleanup.callback(lease.release)
        _require_empty_outboxes(redis_url)
        with closing(RedisCheckpointStore(redis_url, lease.fence)) as store:
            found = store.read()
        if found is not None:
            _adopt(settings, redis_url, lease, found)


def needs_adoption(redis_url: str) -> bool:
    """Check whether the last who had all sessions was a single collector."""
    with closing(open_client(redis_url)) as client, mapped_errors():
        single, splitter = pipeline(client, [("EXISTS", CHECKPOINT_KEY), ("EXISTS", SPLITTER_KEY)])
    return bool(single) and not splitter


def _adopt(settings: Settings, redis_url: str, lease: RedisLease, found: Checkpoint) -> None:
    with mapped_checkpoint_errors():
        header = read_header(found.header)
    frontier = frontier_of(header.position)
    of_partition = encode_header(
        Header(
            header.number,
            header.window_s,
            encode_position(PartitionPosition(frontier)),
            msgspec.structs.replace(header.intake, quotas=None),
        )
    )
    shares: defaultdict[int, dict[SessionKey, bytes]] = defaultdict(dict)
    for key, state in found.sessions.items():
        shares[partition_of(*key, settings.partitions)][key] = state
    urls = partition_redis_urls(settings, redis_url)
    for partition in all_partitions(settings.partitions):
        checkpoint = Checkpoint(of_partition, shares[partition.number], is_full=True)
        _commit(urls[partition.number % len(urls)], partition, checkpoint)
    with closing(SplitterCheckpoints(redis_url, lease.fence)) as checkpoints:
        resumed = SplitterState(frontier, intake=header.intake)
        checkpoints.commit_first(SplitterCheckpoint(header.position, resumed))
    emit(CheckpointAdopted(sessions=len(found.sessions), partitions=settings.partitions))


def _commit(url: str, partition: Partition, checkpoint: Checkpoint) -> None:
    """Commit the first checkpoint of a partition, as its owner."""
    lease = RedisLease(url, partition)
    with closing(lease), closing(PartitionCheckpoints(url, lease.fence, partition)) as store:
        _acquire(lease, f"stop what runs partition {partition}: it has no sessions yet")
        try:
            store.commit(checkpoint)
        finally:
            lease.release()


def _acquire(lease: RedisLease, advice: str) -> None:
    try:
        lease.acquire_or_renew()
    except OwnershipLost as owned:
        raise Unavailable(f"redis: {owned}; {advice}") from None


def _require_empty_outboxes(redis_url: str) -> None:
    keys = [key_of(None, key) for key in (OUTBOX_KEY, TITLE_OUTBOX_KEY)]
    with closing(open_client(redis_url)) as client, mapped_errors():
        lengths = pipeline(client, [("XLEN", key) for key in keys])
    for key, length in zip(keys, lengths, strict=True):
        if length:
            raise ConfigError(
                f"REDIS_URL: rows of a single collector wait in {key}; start it once more, without "
                "--shards, until the database has them, then stop it"
            )
