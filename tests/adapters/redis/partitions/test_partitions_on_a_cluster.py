"""All that a partition's collector keeps, on a cluster: also while nodes restart and slots move."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.key_names import PARTITION_KEY, key_of
from conductor_actors.adapters.redis.outbox import RedisOutbox
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.adapters.redis.partitions.partition_checkpoints import PartitionCheckpoints
from conductor_actors.adapters.redis.partitions.partition_source import PartitionSource
from conductor_actors.domain.checkpoints.encoding import Header, encode_header
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake_state import IntakeState
from conductor_actors.domain.partitions.blocks import Block, Interval, encode_block
from conductor_actors.domain.partitions.partition import Partition, all_partitions
from conductor_actors.errors import OwnershipLost, Unavailable
from conductor_actors.ports import Checkpoint
from tests.support.score_rows import row
from tests.support.valkey_cluster import ValkeyCluster, call, valkey_cluster
from tests.support.waiting import wait_until

SESSION = SessionKey("acme", "keynote")
MAX_RECOVERY_S = 10.0


@pytest.fixture(scope="module")
def shared() -> Iterator[ValkeyCluster]:
    with valkey_cluster("--appendonly", "yes", "--appendfsync", "always") as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: ValkeyCluster) -> ValkeyCluster:
    for node in shared.primaries:
        call(node, "FLUSHALL")
    return shared


@pytest.fixture
def replicated() -> Iterator[ValkeyCluster]:
    with valkey_cluster(has_replicas=True) as cluster:
        yield cluster


class Owner:
    """The owner of a partition: its lease, and the adapters of what it keeps."""

    def __init__(self, url: str, partition: Partition) -> None:
        self.url, self.partition = url, partition
        self.lease = RedisLease(url, partition)
        self.source = PartitionSource(url, partition)
        self.checkpoints = PartitionCheckpoints(url, self.lease.fence, partition)
        self.outbox = RedisOutbox(url, partition)

    def write_block(self, begin_ms: int, end_ms: int, *times_ms: int) -> None:
        entries: list[Entry] = [(ms, 0, "sync-events", b"{}") for ms in times_ms]
        block = Block.of(Interval((begin_ms, 0), (end_ms, 0), end_ms), entries)
        key = key_of(self.partition, PARTITION_KEY)
        with closing(open_client(self.url, partition=self.partition)) as client, mapped_errors():
            pipeline(client, [("XADD", key, "*", "b", encode_block(block))])

    def read(self) -> list[int]:
        return [entry[0] for entry in self.source.read().entries]

    def commit(self, number: int, state: bytes) -> None:
        header = encode_header(Header(number, 60, self.source.position(), IntakeState()))
        assert self.checkpoints.commit(Checkpoint(header, {SESSION: state}, is_full=True))

    def close(self) -> None:
        for adapter in (self.lease, self.source, self.checkpoints, self.outbox):
            adapter.close()


def new_owner(url: str, partition: Partition, stack: ExitStack) -> Owner:
    return stack.enter_context(closing(Owner(url, partition)))


def one_of_each_node(cluster: ValkeyCluster) -> list[Partition]:
    return list({cluster.owner(each.tag).port: each for each in all_partitions(64)}.values())


def keep_all(owner: Owner) -> None:
    """Keep a checkpoint, a row in the outbox, and a block that was not read."""
    owner.lease.acquire_or_renew()
    owner.write_block(0, 10, 3)
    owner.write_block(10, 20, 12)
    assert owner.read() == [3, 12]
    owner.commit(1, b"state")
    owner.outbox.append([row("keynote")])
    owner.write_block(20, 30, 25)


def require_all(owner: Owner, successor: Owner) -> None:
    """Fail unless a successor finds all of it, under a newer token."""
    former_token = int(owner.lease.fence.token)
    owner.lease.release()
    successor.lease.acquire_or_renew()
    assert int(successor.lease.fence.token) == former_token + 1
    found = successor.checkpoints.load()
    assert found is not None
    assert found.sessions == {SESSION: b"state"}
    successor.source.resume(owner.source.position())
    assert successor.read() == [25]
    assert [each.session_id for each in successor.outbox.read_oldest(10).rows] == ["keynote"]
    with pytest.raises(OwnershipLost):
        owner.commit(2, b"late")


def succeeds(call_once: Callable[[], object]) -> bool:
    with suppress(Unavailable):
        call_once()
        return True
    return False


def test_a_partition_is_owned_and_kept_on_each_node(cluster: ValkeyCluster) -> None:
    partitions = one_of_each_node(cluster)
    assert len(partitions) == 3
    for partition in partitions:
        with ExitStack() as stack:
            owner, other = (new_owner(cluster.url, partition, stack) for _ in range(2))
            keep_all(owner)
            with pytest.raises(OwnershipLost, match="another conductor_actors"):
                other.lease.acquire_or_renew()
            blocks = call(cluster.owner(partition.tag), "XLEN", key_of(partition, PARTITION_KEY))
            assert blocks == 1 + 1  # the last that was read, and the one that was not
            require_all(owner, other)


def test_the_restart_of_a_node_is_an_outage_of_its_partitions_only(cluster: ValkeyCluster) -> None:
    struck, *others = one_of_each_node(cluster)
    with ExitStack() as stack:
        owner, successor = (new_owner(cluster.url, struck, stack) for _ in range(2))
        keep_all(owner)
        bystanders = [new_owner(cluster.url, each, stack) for each in others]
        node = cluster.owner(struck.tag)
        node.kill()
        with pytest.raises(Unavailable):
            owner.lease.acquire_or_renew()
        for bystander in bystanders:
            bystander.lease.acquire_or_renew()
        node.start()
        wait_until(lambda: succeeds(owner.lease.acquire_or_renew), MAX_RECOVERY_S)
        require_all(owner, successor)


def test_a_partition_is_kept_while_its_slot_moves(cluster: ValkeyCluster) -> None:
    partition = Partition(7, 64)
    with ExitStack() as stack:
        owner, successor = (new_owner(cluster.url, partition, stack) for _ in range(2))
        keep_all(owner)
        token = owner.lease.fence.token
        target = cluster.another_primary(partition.tag)
        cluster.begin_move(partition.tag, target)
        owner.lease.acquire_or_renew()
        cluster.move_keys(partition.tag, target)
        for refused in (owner.lease.acquire_or_renew, owner.read, lambda: owner.commit(2, b"x")):
            with pytest.raises(Unavailable):
                refused()
        cluster.end_move(partition.tag, target)
        wait_until(lambda: succeeds(owner.lease.acquire_or_renew), MAX_RECOVERY_S)
        assert owner.lease.fence.token == token
        require_all(owner, successor)


def test_a_partition_is_kept_when_a_replica_takes_over(replicated: ValkeyCluster) -> None:
    partition = Partition(7, 64)
    with ExitStack() as stack:
        owner, successor = (new_owner(replicated.url, partition, stack) for _ in range(2))
        keep_all(owner)
        primary = replicated.owner(partition.tag)
        replicated.wait_until_replicated(primary)
        primary.kill()
        wait_until(lambda: succeeds(owner.lease.acquire_or_renew), MAX_RECOVERY_S)
        assert replicated.owner(partition.tag) is not primary
        require_all(owner, successor)
