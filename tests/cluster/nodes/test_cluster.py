"""What an operator does with a cluster, and what happens to one; the tests share it.

Each fault is an experiment in its short form, see `tests.faults`. Time limits are extended, because
other tests use the machine, too.
"""

import json
from time import monotonic
from typing import Final

import pytest

from tests.cluster.nodes.lateness import lateness, timed
from tests.cluster.nodes.testbed import PARTITIONS, ClusterTestbed, now_ms, sessions_of
from tests.faults.cluster_experiments import CLUSTER_EXPERIMENTS
from tests.faults.experiments import Experiment, run_on
from tests.faults.report import Report
from tests.faults.samples import pause
from tests.support.programs import assert_refused

TIME_FACTOR: Final = 3.0
MAX_MOVES: Final = 2  # at a time


def test_up_returns_when_every_partition_has_an_owner_and_twice_is_once(
    cluster: ClusterTestbed,
) -> None:
    cluster.start(2, 3)
    took_s = cluster.succeed("up")
    assert cluster.owned().count(False) <= MAX_MOVES  # while the last host gets its share
    cluster.wait_until_balanced(2, 3)
    fences = cluster.fences()
    again_s = cluster.succeed("up")
    assert cluster.fences() == fences
    assert cluster.owned() == [True] * PARTITIONS
    print(f"up: {took_s:.1f} s, again: {again_s:.1f} s")


def test_status_shows_what_is_stored(cluster: ClusterTestbed) -> None:
    cluster.ensure(2, 3)
    ended = cluster.command("status", "--json")
    assert ended.exit_code == 0, ended
    shown, stored = json.loads(ended.stdout), cluster.status()
    assert shown["partitions"] == PARTITIONS
    assert shown["without_owner"] == []
    assert {node["id"] for node in shown["nodes"]} == {node.id for node in stored.nodes}
    assert sorted(p for host in shown["hosts"] for p in host["partitions"]) == [*range(PARTITIONS)]
    text = cluster.command("status")
    assert text.exit_code == 0, text
    assert "10.17.0.2" in text.stdout


def test_without_the_token_nobody_can_end_the_service(cluster: ClusterTestbed) -> None:
    cluster.ensure(2, 3)
    ended = cluster.command("down", RAY_AUTH_TOKEN="0" * 32)
    assert ended.exit_code not in {0, 2}, ended
    assert ended.stderr.splitlines()[-1].startswith("conductor_actors: RAY_ADDRESS"), ended
    assert cluster.is_balanced(2, 3)


def test_another_up_with_other_settings_and_a_node_that_is_not_there_are_refused(
    cluster: ClusterTestbed,
) -> None:
    cluster.ensure(2, 3)
    assert_refused(cluster.command("up", CONDUCTOR_TICK_S="2"), "other settings")
    assert_refused(cluster.command("leave", "10.17.0.77"), "10.17.0.77 is no node", "10.17.0.2")
    assert cluster.is_balanced(2, 3)


def test_the_next_up_goes_on_where_down_drained_all(cluster: ClusterTestbed) -> None:
    cluster.ensure(2, 3)
    since_ms, report = now_ms(), Report()
    with cluster.load() as samples:
        pause(4)
        down_s = cluster.succeed("down")
        assert cluster.owned() == [False] * PARTITIONS
        up_s = cluster.succeed("up")
        began_s = monotonic()
        pause(8)
        seen = lateness(timed(samples), sessions_of(range(PARTITIONS)), began_s + 4, monotonic())
    print(f"down: {down_s:.1f} s, up: {up_s:.1f} s, {seen}")
    assert seen.away_s < 10
    cluster.settle(report, since_ms)
    assert not report.broken, report


@pytest.mark.timeout(300)
@pytest.mark.parametrize("experiment", CLUSTER_EXPERIMENTS, ids=str)
def test_the_cluster_keeps_its_promises_during_a_fault(
    cluster: ClusterTestbed, experiment: Experiment[ClusterTestbed]
) -> None:
    report = run_on(cluster, experiment.short, TIME_FACTOR)
    print(report.seen)
    assert not report.broken, "\n".join([experiment.must_hold, *report.broken, str(report.seen)])
