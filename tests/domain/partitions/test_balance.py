"""Hosts that do at once what a plan says, and what the plans then amount to."""

from collections.abc import Iterator
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.domain.partitions.balance import (
    MAX_CONCURRENT_MOVES,
    Assignment,
    HostLoad,
    Plan,
    plan_moves,
)

COUNTS = st.integers(1, 130)
NAMES = [f"host-{number:02}" for number in range(12)]


@st.composite
def clusters(draw: st.DrawFn) -> tuple[int, dict[str, HostLoad]]:
    """Draw partitions that hosts run or drain, or nobody has; some hosts are leaving."""
    count = draw(COUNTS)
    names = NAMES[: draw(st.integers(1, len(NAMES)))]
    holders = draw(st.lists(st.sampled_from([*names, ""]), min_size=count, max_size=count))
    drained = draw(st.sets(st.integers(0, count - 1), max_size=MAX_CONCURRENT_MOVES))
    leaving = draw(st.sets(st.sampled_from(names)))
    loads = {
        name: HostLoad(
            {
                number
                for number in range(count)
                if holders[number] == name and number not in drained
            },
            {number for number in drained if holders[number] == name},
            name in leaving,
        )
        for name in names
    }
    return count, loads


def apply(hosts: dict[str, HostLoad], plan: Plan) -> dict[str, HostLoad]:
    """Return the hosts once their drains have ended and the plan is what they do."""
    after = {name: HostLoad(set(load.runs), set(), load.is_leaving) for name, load in hosts.items()}
    for number, name in plan.starts:
        after[name] = after[name]._replace(runs={*after[name].runs, number})
    for number, name in plan.drains:
        load = after[name]
        after[name] = load._replace(runs={*load.runs} - {number}, drains={*load.drains, number})
    return after


def plans_until_balanced(count: int, hosts: dict[str, HostLoad]) -> Iterator[Plan]:
    """Carry out plans until there is nothing more to do; change `hosts`."""
    for _ in range(4 * count + 4):
        plan = plan_moves(count, hosts)
        if plan == ([], []) and not any(load.drains for load in hosts.values()):
            return
        yield plan
        hosts |= apply(hosts, plan)
    raise AssertionError("the plans have no end")


def balanced(count: int, names: list[str]) -> dict[str, HostLoad]:
    hosts = {name: HostLoad(set[int]()) for name in names}
    list(plans_until_balanced(count, hosts))
    return hosts


def sizes(hosts: dict[str, HostLoad]) -> list[int]:
    return [len(load.runs) for load in hosts.values() if not load.is_leaving]


@given(clusters())
def test_every_partition_ends_on_one_host_and_shares_differ_by_one(
    cluster: tuple[int, dict[str, HostLoad]],
) -> None:
    count, hosts = cluster
    list(plans_until_balanced(count, hosts))
    held = sorted(number for load in hosts.values() for number in load.runs)
    assert held == (list(range(count)) if sizes(hosts) else [])
    assert max(sizes(hosts), default=0) - min(sizes(hosts), default=0) <= 1
    assert not [name for name, load in hosts.items() if load.is_leaving and load.runs]


@given(clusters())
def test_no_more_than_two_partitions_move_at_a_time(
    cluster: tuple[int, dict[str, HostLoad]],
) -> None:
    count, hosts = cluster
    for plan in plans_until_balanced(count, hosts):
        draining = sum(len(load.drains) for load in hosts.values())
        assert (
            not (plan.drains and sizes(hosts))
            or draining + len(plan.drains) <= MAX_CONCURRENT_MOVES
        )


@given(clusters(), st.integers(0, 3))
def test_moves_that_drains_do_not_show_count(
    cluster: tuple[int, dict[str, HostLoad]], moves: int
) -> None:
    count, hosts = cluster
    draining = sum(len(load.drains) for load in hosts.values())
    plan = plan_moves(count, hosts, moves=moves)
    assert not sizes(hosts) or len(plan.drains) <= max(0, MAX_CONCURRENT_MOVES - draining - moves)


@given(clusters())
def test_orphans_start_at_once_and_what_is_held_does_not_start_twice(
    cluster: tuple[int, dict[str, HostLoad]],
) -> None:
    count, hosts = cluster
    held = {number for load in hosts.values() for number in (*load.runs, *load.drains)}
    plan = plan_moves(count, hosts)
    if sizes(hosts):
        assert [start.partition for start in plan.starts] == sorted(set(range(count)) - held)
    assert all(number in hosts[name].runs for number, name in plan.drains)
    assert not any(hosts[name].is_leaving for _, name in plan.starts)


@given(clusters())
def test_a_plan_depends_on_the_cluster_alone(cluster: tuple[int, dict[str, HostLoad]]) -> None:
    count, hosts = cluster
    again = {name: hosts[name] for name in sorted(hosts, reverse=True)}
    assert plan_moves(count, hosts) == plan_moves(count, again)


@given(COUNTS, st.integers(1, 11))
def test_a_host_that_joins_costs_no_more_moves_than_its_share(count: int, hosts: int) -> None:
    cluster = balanced(count, NAMES[:hosts])
    cluster[NAMES[hosts]] = HostLoad(set())
    moves = sum(len(plan.drains) for plan in plans_until_balanced(count, cluster))
    assert moves == count // (hosts + 1) <= ceil(count / (hosts + 1))
    assert max(sizes(cluster)) - min(sizes(cluster)) <= 1


@given(COUNTS, st.integers(2, 12), st.data())
def test_a_host_that_leaves_costs_no_more_moves_than_it_ran(
    count: int, hosts: int, data: st.DataObject
) -> None:
    cluster = balanced(count, NAMES[:hosts])
    leaving = data.draw(st.sampled_from(NAMES[:hosts]))
    ran = len(cluster[leaving].runs)
    cluster[leaving] = cluster[leaving]._replace(is_leaving=True)
    plans = list(plans_until_balanced(count, cluster))
    assert sum(len(plan.drains) for plan in plans) == ran
    assert {host for plan in plans for _, host in plan.drains} <= {leaving}


@given(COUNTS, st.integers(2, 12), st.data())
def test_after_a_death_only_the_orphans_start(count: int, hosts: int, data: st.DataObject) -> None:
    cluster = balanced(count, NAMES[:hosts])
    died = cluster.pop(data.draw(st.sampled_from(NAMES[:hosts])))
    plan = plan_moves(count, cluster)
    assert {start.partition for start in plan.starts} == set(died.runs)
    assert plan.drains == []


def test_a_paused_partition_waits_and_its_last_host_is_avoided() -> None:
    hosts = {"one": HostLoad({0, 1, 3}), "two": HostLoad(set())}
    assert plan_moves(4, hosts, paused={2}).starts == []
    assert plan_moves(4, hosts, avoided={2: "two"}).starts == [Assignment(2, "one")]
    assert plan_moves(4, {"two": HostLoad({0, 1, 3})}, avoided={2: "two"}).starts == [
        Assignment(2, "two")
    ]
