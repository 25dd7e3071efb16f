from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.domain.entries import Entry
from conductor_actors.domain.merging import Frontier, Merge

NAMES = ("a", "b", "c")
END: Frontier = (10**15, 0)
ids = st.tuples(st.integers(0, 9), st.integers(0, 2), st.sampled_from(NAMES))
logs = st.lists(ids, unique=True).map(lambda some: [(*id_, b"") for id_ in some])
cuts = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 4)), max_size=20)


def frontier_of(unread: dict[str, list[Entry]]) -> Frontier:
    """Find the first id that can still be read."""
    return min((stream[0][:2] for stream in unread.values() if stream), default=END)


@settings(max_examples=100, deadline=None)
@given(logs, cuts)
def test_streams_read_in_any_portions_are_released_in_order(
    log: list[Entry], portions: list[tuple[str, int]]
) -> None:
    unread = {name: sorted(entry for entry in log if entry[2] == name) for name in NAMES}
    merge, released = Merge(), list[Entry]()
    for name, count in (*portions, *((name, len(log)) for name in NAMES)):
        merge.add(name, unread[name][:count])
        del unread[name][:count]
        released += merge.release(frontier_of(unread))
    assert released == sorted(log, key=lambda entry: (entry[:2], entry[2]))


@settings(max_examples=100, deadline=None)
@given(logs, st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=2))
def test_only_entries_before_the_frontier_are_released(
    log: list[Entry], frontiers: list[Frontier]
) -> None:
    merge = Merge()
    for name in NAMES:
        merge.add(name, sorted(entry for entry in log if entry[2] == name))
    for reached, frontier in pairwise([(-1, 0), *sorted(frontiers)]):
        released = merge.release(frontier)
        assert released == sorted(entry for entry in log if reached <= entry[:2] < frontier)
        for name in NAMES:
            waiting = [entry for entry in log if entry[2] == name and entry[:2] >= frontier]
            assert merge.size(name) == len(waiting)


def test_equal_ids_are_released_by_name() -> None:
    merge = Merge()
    merge.add("b", [(1, 0, "b", b"first read")])
    merge.add("a", [(1, 0, "a", b"second read")])
    assert [entry[2] for entry in merge.release((1, 1))] == ["a", "b"]
