"""Partitions: every session is in one, the same everywhere."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.domain.partitions.partition import Partition, all_partitions, partition_of


def test_the_partition_of_a_session_never_changes() -> None:
    known = {("default", "s-1"): 63, ("acme", "s-1"): 57, ("default", "ü"): 56, ("default", ""): 17}
    assert {key: partition_of(*key, 64) for key in known} == known


@given(st.text(), st.text(), st.integers(1, 4096))
def test_every_session_is_in_one_of_the_partitions(tenant: str, session: str, count: int) -> None:
    assert 0 <= partition_of(tenant, session, count) < count


def test_sessions_are_spread_evenly_over_the_partitions() -> None:
    sizes = Counter(partition_of("default", f"session-{number}", 64) for number in range(64_000))
    assert len(sizes) == 64
    assert max(sizes.values()) < 1.2 * 1000


def test_partitions_are_numbered_from_zero() -> None:
    assert all_partitions(2) == [Partition(0, 2), Partition(1, 2)]
    assert [str(each) for each in all_partitions(2)] == ["0/2", "1/2"]
    assert Partition(7, 64).tag == "{7}"
