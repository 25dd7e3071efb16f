from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.domain.partitions.host_count import (
    SESSIONS_PER_HOST,
    HostBounds,
    HostUse,
    hosts_to_empty,
    needed_hosts,
    nodes_to_fill,
)

USES = st.lists(
    st.builds(HostUse, st.floats(0, 1.2), st.integers(0, 3 * SESSIONS_PER_HOST)), max_size=12
)
NODES = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 4))


@given(USES, st.integers(1, 5), st.integers(5, 40), st.floats(0.1, 1))
def test_needed_hosts_are_within_the_bounds_and_enough(
    uses: list[HostUse], least: int, most: int, cpu: float
) -> None:
    needed = needed_hosts(uses, HostBounds(least, most, cpu))
    assert least <= needed <= most
    if needed < most:
        assert sum(use.cpu for use in uses) <= needed * cpu + 1e-5
        assert sum(use.sessions for use in uses) <= needed * SESSIONS_PER_HOST


def test_three_hosts_that_use_all_of_what_they_may_stay_three() -> None:
    assert needed_hosts([HostUse(0.6, 0)] * 3, HostBounds(1, 9, 0.6)) == 3
    assert needed_hosts([HostUse(0.61, 0)] * 3, HostBounds(1, 9, 0.6)) == 4
    assert needed_hosts([HostUse(0.1, 100_001)], HostBounds(1, 9, 0.6)) == 3


@given(st.integers(0, 12), NODES, st.data())
def test_hosts_are_added_where_there_is_room_until_there_are_enough(
    wanted: int, capacity: dict[str, int], data: st.DataObject
) -> None:
    hosts = {node: data.draw(st.integers(0, room)) for node, room in capacity.items()}
    added = nodes_to_fill(wanted, capacity, hosts)
    after = {node: hosts[node] + added.count(node) for node in capacity}
    assert all(after[node] <= capacity[node] for node in capacity)
    room = sum(capacity.values())
    assert sum(after.values()) == max(sum(hosts.values()), min(wanted, room))


@given(st.integers(0, 12), st.dictionaries(st.integers(0, 99).map(str), st.sampled_from("abc")))
def test_the_hosts_that_are_removed_free_as_many_nodes_as_possible(
    wanted: int, nodes: dict[str, str]
) -> None:
    removed = hosts_to_empty(wanted, nodes)
    assert len(removed) == max(0, len(nodes) - wanted)
    left = {node for host, node in nodes.items() if host not in removed}
    sizes = sorted((list(nodes.values()).count(node) for node in set(nodes.values())), reverse=True)
    fewest = next(
        (
            count
            for count in range(len(sizes) + 1)
            if sum(sizes[:count]) >= len(nodes) - len(removed)
        ),
        0,
    )
    assert len(left) <= fewest
    assert ceil(len(left)) == len(left)
