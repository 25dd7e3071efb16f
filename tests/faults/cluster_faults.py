"""Nodes of a cluster, its head and its coordinator are killed or suspended under load."""

from collections.abc import Collection
from math import ceil
from time import monotonic
from typing import Final

from tests.cluster.nodes.lateness import (
    ON_TIME_S,
    TICK_S,
    TimedUpdate,
    lateness,
    published_twice,
    timed,
)
from tests.cluster.nodes.ray_nodes import node_address
from tests.cluster.nodes.testbed import PARTITIONS, ClusterTestbed, now_ms, sessions_of
from tests.faults.report import Report
from tests.faults.samples import Samples, Update, pause
from tests.support.waiting import becomes_true

LIVE_AGAIN_S: Final = 10.0
BALANCED_S: Final = 15.0
MOVED_LATE_S: Final = 4.0
CALM_S: Final = 3.0  # of load before the fault: more than a checkpoint's interval
AFTER_S: Final = 12.0  # of load after it: time to be live again, and to be seen live
RESTORED_S: Final = 60.0
COORDINATOR: Final = "Coordinator"  # classes of Ray's actors
HOST: Final = "Host"
SPLITTER: Final = "Splitter"


def kill_node(cluster: ClusterTestbed, report: Report, times: int) -> None:
    """Kill a node without the splitter under load; start it again, and kill it again."""
    cluster.ensure(2, 3, 4)
    since_ms = now_ms()
    with cluster.load() as samples:
        for kill in range(times):
            if kill:
                _restore(cluster, report)
            pause(CALM_S)
            number = _node_beside_splitter(cluster)
            lost = cluster.partitions_on(number)
            killed_s = monotonic()
            cluster.nodes[number].kill()
            pause(AFTER_S)
            _require_takeover(samples, report, lost, killed_s)
    report.record(kills=times)
    cluster.settle(report, since_ms)


def kill_splitter_node(cluster: ClusterTestbed, report: Report, times: int) -> None:
    """Kill the node that has the splitter: every session waits for the next splitter."""
    cluster.ensure(2, 3, 4)
    since_ms = now_ms()
    with cluster.load() as samples:
        for kill in range(times):
            if kill:
                _restore(cluster, report)
            pause(CALM_S)
            number = cluster.splitter_node()
            killed_s = monotonic()
            cluster.nodes[number].kill()
            pause(AFTER_S)
            seen = lateness(timed(samples), _every_session(), killed_s, monotonic())
            report.within("live_again", seen.away_s, LIVE_AGAIN_S)
            report.record(late_s=round(seen.late_s, 2))
    report.record(kills=times)
    cluster.settle(report, since_ms)


def suspend_node(cluster: ClusterTestbed, report: Report, seconds: float) -> None:
    """Suspend a node until others have its partitions, and wake it up."""
    cluster.ensure(2, 3, 4)
    since_ms = now_ms()
    with cluster.load() as samples:
        pause(CALM_S)
        number = _node_beside_splitter(cluster)
        lost = cluster.partitions_on(number)
        suspended_s = monotonic()
        cluster.nodes[number].suspend()
        pause(AFTER_S)
        _require_takeover(samples, report, lost, suspended_s)
        pause(suspended_s + seconds - monotonic())
        fences = cluster.fences()
        woken_ms = now_ms()
        cluster.nodes[number].resume()
        pause(AFTER_S)
        seen = timed(samples)
    twice = published_twice(seen)
    since_woken = published_twice([each for each in seen if each.tick_ms >= woken_ms])
    report.record(updates=len(seen), twice=len(twice), twice_since_woken=len(since_woken))
    report.require(not since_woken, f"published twice since it woke: {since_woken[:3]}")
    report.require(not twice, f"published twice: {twice[:3]}")
    report.record(suspended_s=seconds, moved_since_woken=_count_moves(cluster, fences))
    cluster.settle(report, since_ms)


def join_node(cluster: ClusterTestbed, report: Report) -> None:
    """Start a third node under load."""
    cluster.ensure(2, 3)
    since_ms = now_ms()
    with cluster.load() as samples:
        pause(CALM_S)
        fences = cluster.fences()
        began_s = monotonic()
        cluster.start(4)
        joined_s = monotonic()
        becomes_true(lambda: cluster.is_balanced(2, 3, 4), RESTORED_S)
        balanced_s = monotonic()
        pause(CALM_S)
        seen = lateness(timed(samples), _every_session(), began_s, monotonic())
    moves = _count_moves(cluster, fences)
    report.record(node_started_s=round(joined_s - began_s, 2), moves=moves)
    report.within("balanced", balanced_s - joined_s, BALANCED_S)
    most = ceil(PARTITIONS / 3)
    report.require(moves <= most, f"{moves} partitions moved, at most {most}")
    report.record(away_s=round(seen.away_s, 2))
    report.within("late", seen.late_s, MOVED_LATE_S)
    report.within("without_update_on_time", seen.away_s, MOVED_LATE_S + TICK_S)
    cluster.settle(report, since_ms)


def leave_node(cluster: ClusterTestbed, report: Report) -> None:
    """Empty a node under load, and stop it."""
    cluster.ensure(2, 3, 4)
    since_ms = now_ms()
    with cluster.load() as samples:
        pause(CALM_S)
        began_s = monotonic()
        took_s = cluster.succeed("leave", node_address(4))
        left = cluster.partitions_on(4)
        fences = cluster.fences()
        cluster.nodes[4].kill()
        pause(CALM_S)
        seen = lateness(timed(samples), _every_session(), began_s, monotonic())
    report.record(leave_s=round(took_s, 2), late_s=round(seen.late_s, 2))
    report.require(not left, f"still there: {sorted(left)}")
    report.require(_count_moves(cluster, fences) == 0, "the empty node's end moved partitions")
    report.require(cluster.is_balanced(2, 3), "the others have no equal shares")
    report.within("without_update_on_time", seen.away_s, MOVED_LATE_S + TICK_S)
    cluster.settle(report, since_ms)


def kill_head(cluster: ClusterTestbed, report: Report, seconds: float) -> None:
    """Kill the head with its GCS, and start it again; then kill a node."""
    cluster.ensure(2, 3, 4)
    since_ms = now_ms()
    with cluster.load() as samples:
        pause(CALM_S)
        fences, killed_s = cluster.fences(), monotonic()
        cluster.head.kill()
        pause(seconds)
        away = lateness(timed(samples), _every_session(), killed_s, monotonic())
        began_s = monotonic()
        cluster.start()
        pause(CALM_S)
        back = lateness(timed(samples), _every_session(), began_s, monotonic())
        report.record(gcs_away_s=seconds, moves_without_head=_count_moves(cluster, fences))
        report.within("late_without_head", away.late_s, ON_TIME_S)
        # Its nine processes start on the cores that the hosts have: elsewhere, they have their own.
        report.within("late_while_it_starts", back.late_s, LIVE_AGAIN_S)
        report.require(cluster.fences() == fences, "partitions moved without the head")
        report.require(
            becomes_true(lambda: cluster.is_balanced(2, 3, 4), RESTORED_S),
            "the status does not come back with the head",
        )
        number = _node_beside_splitter(cluster)
        lost = cluster.partitions_on(number)
        killed_s = monotonic()
        cluster.nodes[number].kill()
        pause(AFTER_S)
        _require_takeover(samples, report, lost, killed_s)
    cluster.settle(report, since_ms)


def kill_coordinator(cluster: ClusterTestbed, report: Report, times: int) -> None:
    """Kill the process of the coordinator under load."""
    cluster.ensure(2, 3, 4)
    since_ms = now_ms()
    with cluster.load() as samples:
        pause(CALM_S)
        fences, began_s = cluster.fences(), monotonic()
        for _ in range(times):
            killed_s, killed_ms = monotonic(), now_ms()
            report.require(cluster.kill_actor(COORDINATOR) == 1, "there is no coordinator")
            report.require(_has_newer_status(cluster, killed_ms + 1000), "no coordinator came back")
            report.record(status_again_s=round(monotonic() - killed_s, 2))
        pause(CALM_S)
        seen = lateness(timed(samples), _every_session(), began_s, monotonic())
    report.record(kills=times, moves=_count_moves(cluster, fences))
    report.require(cluster.fences() == fences, "a partition restarted")
    report.within("late", seen.late_s, ON_TIME_S)
    report.require(cluster.is_balanced(2, 3, 4), "the shares are not what they were")
    cluster.settle(report, since_ms)


def kill_processes(cluster: ClusterTestbed, report: Report, times: int) -> None:
    """Kill processes of hosts and of the splitter, in turn; their nodes live on."""
    cluster.ensure(2, 3, 4)
    since_ms = now_ms()
    with cluster.load() as samples:
        for name in (HOST, SPLITTER) * times:
            pause(CALM_S)
            killed_s = monotonic()
            killed = cluster.kill_actor(name, most=1)
            report.require(killed == 1, f"there is no {name}")
            pause(AFTER_S)
            seen = lateness(timed(samples), _every_session(), killed_s, monotonic())
            report.within(f"live_again_without_{name.lower()}", seen.away_s, LIVE_AGAIN_S)
    report.record(kills=2 * times)
    cluster.settle(report, since_ms)


def kill_node_without_head(cluster: ClusterTestbed, report: Report) -> None:
    """Kill a node while there is no head, so that nobody can replace it."""
    cluster.ensure(2, 3, 4)
    since_ms = now_ms()
    with cluster.load() as samples:
        pause(CALM_S)
        number = _node_beside_splitter(cluster)
        lost = cluster.partitions_on(number)
        killed_s = monotonic()
        cluster.head.kill()
        cluster.nodes[number].kill()
        pause(AFTER_S)
        others = _every_session() - sessions_of(lost)
        seen = lateness(timed(samples), others, killed_s, monotonic())
        report.within("others_late", seen.late_s, ON_TIME_S)
        cluster.start()
        back_s = monotonic()
        pause(AFTER_S)
        seen = lateness(timed(samples), _every_session(), back_s, monotonic())
        away = lateness(timed(samples), sessions_of(lost), killed_s, monotonic())
        report.record(sessions_lost=away.sessions, away_s=round(away.away_s, 1))
        report.within("live_again_after_the_head", seen.away_s, LIVE_AGAIN_S)
    cluster.settle(report, since_ms)


def lose_head(cluster: ClusterTestbed, report: Report) -> None:
    """Lose the head with all that it knew; start a cluster anew, and bring the service up."""
    cluster.ensure(2, 3, 4)
    since_ms = now_ms()
    with cluster.load() as samples:
        pause(CALM_S)
        cluster.lose_head()
        for node in cluster.nodes.values():
            node.kill()
        pause(CALM_S)
        began_s = monotonic()
        cluster.start(2, 3, 4)
        started_s = monotonic()
        up_s = cluster.succeed("up")
        pause(AFTER_S)
        seen = lateness(timed(samples), _every_session(), started_s + up_s, monotonic())
    report.record(started_s=round(started_s - began_s, 1), up_s=round(up_s, 1))
    report.within("live_again_after_up", seen.away_s, LIVE_AGAIN_S)
    cluster.settle(report, since_ms)


def _node_beside_splitter(cluster: ClusterTestbed) -> int:
    """Return a node, of which only its partitions' sessions need to notice the end."""
    return next(number for number in (2, 3, 4) if number != cluster.splitter_node())


def _restore(cluster: ClusterTestbed, report: Report) -> None:
    """Start a killed node again, and wait for its share."""
    cluster.start(2, 3, 4)
    is_restored = becomes_true(lambda: cluster.is_balanced(2, 3, 4), RESTORED_S)
    report.require(is_restored, "a node that came back got no share")


def _require_takeover(
    samples: Samples[Update], report: Report, lost: Collection[int], since_s: float
) -> None:
    """Check that sessions of lost partitions are live again, and that others hardly noticed."""
    seen: list[TimedUpdate] = timed(samples)
    until_s = monotonic()
    others = _every_session() - sessions_of(lost)
    ours = lateness(seen, sessions_of(lost), since_s, until_s)
    theirs = lateness(seen, others, since_s, until_s)
    report.record(partitions_lost=len(lost), sessions_lost=ours.sessions)
    report.require(ours.sessions > 0, "the node had no sessions")
    report.within("live_again", ours.away_s, LIVE_AGAIN_S)
    report.within("others_late", theirs.late_s, ON_TIME_S)
    report.within("others_without_update_on_time", theirs.away_s, ON_TIME_S + TICK_S)


def _has_newer_status(cluster: ClusterTestbed, than_ms: int) -> bool:
    return becomes_true(lambda: cluster.status().at_ms > than_ms, RESTORED_S)


def _every_session() -> set[str]:
    return sessions_of(range(PARTITIONS))


def _count_moves(cluster: ClusterTestbed, fences: Collection[int]) -> int:
    """Return how often partitions have got a new owner since these fences."""
    return sum(cluster.fences()) - sum(fences)
