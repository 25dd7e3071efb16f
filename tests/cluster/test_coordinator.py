"""What a coordinator makes of nodes, hosts and partitions, on an engine in memory."""

from math import ceil

import pytest

from conductor_actors.cluster.host_messages import HostCommand, Node
from conductor_actors.cluster.host_table import HOST_TIMEOUT_S
from conductor_actors.settings.cluster import ClusterSettings
from tests.cluster.engines import MemoryCluster, MemoryHost

PARTITIONS = 16
HEAD = Node("head", "10.0.0.1", 0.0)
ONE, TWO, THREE = (Node(f"node-{number}", f"10.0.0.{number}", 1.0) for number in (2, 3, 4))


def settings(**changes: object) -> ClusterSettings:
    return ClusterSettings.model_validate({"partitions": PARTITIONS, **changes})


@pytest.fixture
def cluster() -> MemoryCluster:
    """Return three nodes that share all partitions, and a head that has none."""
    cluster = MemoryCluster(settings(), HEAD, ONE, TWO, THREE)
    cluster.steps()
    return cluster


def test_every_partition_has_an_owner_and_shares_are_equal(cluster: MemoryCluster) -> None:
    assert sorted(cluster.shares().values()) == [0, 5, 5, 6]
    assert cluster.coordinator.progress().without_owner == []
    assert cluster.coordinator.progress().is_complete
    status = cluster.statuses[-1]
    assert (status.without_owner, status.partitions, len(status.hosts)) == ([], PARTITIONS, 3)
    assert [node.hosts for node in status.nodes] == [0, 1, 1, 1]
    assert status.splitter is not None
    assert status.splitter.state == "running"
    assert status.moves == ()


def test_a_node_has_as_many_hosts_as_cpus_or_as_is_set() -> None:
    by_cpus = MemoryCluster(settings(), HEAD, Node("big", "10.0.0.9", 3.0))
    by_cpus.steps()
    assert len(by_cpus.engine.hosts()) == 3
    as_set = MemoryCluster(settings(hosts_per_node=2), HEAD, ONE)
    as_set.steps()
    assert len(as_set.engine.hosts()) == 2
    assert as_set.shares()[ONE.id] == PARTITIONS


def test_a_node_that_joins_gets_its_share_with_the_fewest_moves() -> None:
    cluster = MemoryCluster(settings(), HEAD, ONE, TWO)
    cluster.steps()
    cluster.engine.nodes.append(THREE)
    cluster.steps(20)
    moves = cluster.statuses[-1].moves
    assert sorted(cluster.shares().values()) == [0, 5, 5, 6]
    assert len(moves) <= ceil(PARTITIONS / 3)
    assert {move.target for move in moves} == {
        name for name, host in cluster.engine.hosts().items() if host.node == THREE.id
    }
    assert all(move.source and move.duration_s > 0 for move in moves)


def test_no_more_than_two_partitions_are_away_while_shares_change() -> None:
    cluster = MemoryCluster(settings(), HEAD, ONE)
    cluster.steps()
    cluster.engine.nodes.append(TWO)
    for _ in range(100):
        cluster.steps(0.1)
        running = sum(cluster.shares().values())
        assert PARTITIONS - running <= 2
    assert sorted(cluster.shares().values()) == [0, 8, 8]


def test_what_a_node_that_died_had_starts_on_the_others_at_once(cluster: MemoryCluster) -> None:
    cluster.engine.kill_node(THREE.id)
    cluster.steps(2)
    assert sorted(cluster.shares().values()) == [0, 8, 8]
    assert cluster.coordinator.lost_hosts == 1
    assert {move.source for move in cluster.statuses[-1].moves} == {""}


def test_a_host_that_died_is_replaced(cluster: MemoryCluster) -> None:
    died = next(iter(cluster.engine.hosts()))
    cluster.engine.kill(died)
    cluster.steps(20)
    assert len(cluster.engine.hosts()) == 3
    assert died not in cluster.engine.hosts()
    assert sorted(cluster.shares().values()) == [0, 5, 5, 6]


def test_a_host_that_does_not_answer_is_killed(cluster: MemoryCluster) -> None:
    name, silent = next(iter(cluster.engine.hosts().items()))
    silent.is_silent = True
    cluster.steps(HOST_TIMEOUT_S - 1)
    assert name in cluster.engine.actors
    cluster.steps(2)
    assert name not in cluster.engine.actors
    cluster.steps(10)
    assert sorted(cluster.shares().values()) == [0, 5, 5, 6]


def test_a_coordinator_that_was_stopped_for_a_while_kills_nobody(cluster: MemoryCluster) -> None:
    before = set(cluster.engine.actors)
    cluster.clock.advance(3 * HOST_TIMEOUT_S)
    cluster.steps()
    assert set(cluster.engine.actors) == before


def test_another_coordinator_adopts_what_runs_and_starts_nothing(cluster: MemoryCluster) -> None:
    before = {name: dict(host.states) for name, host in cluster.engine.hosts().items()}
    created = len(cluster.engine.created)
    cluster.replace_coordinator()
    cluster.steps()
    assert {name: host.states for name, host in cluster.engine.hosts().items()} == before
    assert len(cluster.engine.created) == created
    assert cluster.coordinator.progress().without_owner == []


def test_another_coordinator_waits_until_every_host_has_said_what_it_runs(
    cluster: MemoryCluster,
) -> None:
    hosts = cluster.engine.hosts()
    silent = next(iter(hosts.values()))
    silent.is_silent = True
    published = len(cluster.statuses)
    cluster.replace_coordinator()
    cluster.steps(2)
    assert len(cluster.statuses) == published
    others = [host for host in hosts.values() if host is not silent]
    assert sorted(len(host.states) for host in others) in ([5, 5], [5, 6])
    silent.is_silent = False
    cluster.steps()
    assert sorted(cluster.shares().values()) == [0, 5, 5, 6]


def test_while_the_engine_is_away_nothing_moves_and_the_status_is_published(
    cluster: MemoryCluster,
) -> None:
    cluster.engine.is_away = True
    cluster.engine.nodes.append(Node("node-5", "10.0.0.5", 1.0))
    cluster.steps(1)
    died = next(iter(cluster.engine.hosts()))
    cluster.steps(4)  # what the engine said is old by now
    cluster.engine.kill(died)
    published = len(cluster.statuses)
    cluster.steps(20)
    assert len(cluster.statuses) - published >= 19
    assert len(cluster.engine.hosts()) == 2
    assert cluster.coordinator.lost_hosts == 1
    cluster.engine.is_away = False
    cluster.steps(20)
    assert sorted(cluster.shares().values()) == [0, 4, 4, 4, 4]


def test_a_node_that_leaves_is_emptied_and_stays_empty(cluster: MemoryCluster) -> None:
    while cluster.coordinator.leave(TWO.id):
        cluster.steps(0.1)
    assert cluster.shares()[TWO.id] == 0
    assert not any(host.partitions for host in cluster.statuses[-1].hosts if host.node == TWO.id)
    cluster.steps(20)
    assert sorted(cluster.shares().values()) == [0, 0, 8, 8]
    assert [node.leaving for node in cluster.statuses[-1].nodes] == [False, False, True, False]
    cluster.replace_coordinator()
    cluster.steps(20)
    assert cluster.shares()[TWO.id] == 0


def test_the_splitter_leaves_with_its_node(cluster: MemoryCluster) -> None:
    node = cluster.engine.splitter().node
    while cluster.coordinator.leave(node):
        cluster.steps(0.1)
    cluster.steps(1)
    assert cluster.engine.splitter().node != node


def test_a_splitter_that_died_is_replaced_and_a_second_one_is_killed(
    cluster: MemoryCluster,
) -> None:
    cluster.engine.kill_node(cluster.engine.splitter().node)
    cluster.steps(3)
    assert cluster.engine.splitter().node != HEAD.id
    cluster.engine.create_splitter("conductor-splitter-other", ONE)
    cluster.steps(1)
    cluster.engine.splitter()


def test_a_partition_that_fails_starts_elsewhere_with_growing_pauses(
    cluster: MemoryCluster,
) -> None:
    hosts = cluster.engine.hosts()
    [(name, host)] = [pair for pair in hosts.items() if 3 in pair[1].states]
    host.refused[3] = "the checkpoint is of another version"
    cluster.steps(5)
    assert 3 not in host.states
    assert [each for each in hosts.values() if 3 in each.states]
    assert cluster.coordinator.progress().problems == ["the checkpoint is of another version"]
    for each in hosts.values():
        each.refused[3] = "the checkpoint is of another version"
    cluster.steps(60)
    starts = 0
    for _ in range(600):
        cluster.steps(0.1)
        starts += any(each.states.get(3) == "starting" for each in hosts.values())
    assert starts <= 3
    assert cluster.coordinator.progress().without_owner == [3]
    assert name in hosts


def test_a_drain_empties_all_and_creates_nothing(cluster: MemoryCluster) -> None:
    created = len(cluster.engine.created)
    while cluster.coordinator.drain():
        cluster.steps(0.1)
    cluster.steps()
    assert sum(cluster.shares().values()) == 0
    assert len(cluster.engine.created) == created
    cluster.coordinator.kill_all()
    assert cluster.engine.actors == {}


def test_autoscaling_grows_with_the_load_and_empties_hosts_before_they_go() -> None:
    cluster = MemoryCluster(settings(min_hosts=1, max_hosts=3), HEAD, ONE)
    cluster.steps()
    assert cluster.engine.requested == 1
    for host in cluster.engine.hosts().values():
        host.cpu = 1.7
    cluster.steps(2)
    assert cluster.engine.requested == 3
    cluster.engine.nodes += [TWO, THREE]
    cluster.steps(20)
    assert sorted(cluster.shares().values()) == [0, 5, 5, 6]
    for host in cluster.engine.hosts().values():
        host.cpu = 0.1
    cluster.steps(20)
    assert len(cluster.engine.hosts()) == 3
    running = []
    for _ in range(400):
        cluster.steps(0.1)
        running.append(sum(cluster.shares().values()))
    assert len(cluster.engine.hosts()) == 1
    assert cluster.engine.requested == 1
    assert min(running) >= PARTITIONS - 2


def test_a_command_that_was_not_answered_is_sent_again(cluster: MemoryCluster) -> None:
    host = MemoryHost(ONE.id)
    host.exchange(HostCommand(starts=[1]))
    again = host.exchange(HostCommand(starts=[1]))
    assert [each.number for each in again.partitions] == [1]
    assert cluster.coordinator.progress().without_owner == []


def test_it_is_known_what_a_cluster_waits_for() -> None:
    cluster = MemoryCluster(settings(), HEAD)
    cluster.steps()
    assert cluster.coordinator.progress().waits_for == "a node with a CPU"
    assert not cluster.coordinator.progress().is_complete
    cluster.engine.nodes.append(ONE)
    cluster.steps()
    assert cluster.coordinator.progress().is_complete
    cluster.engine.splitter().state = "standby"
    cluster.steps(1)
    assert "another collector" in cluster.coordinator.progress().waits_for
