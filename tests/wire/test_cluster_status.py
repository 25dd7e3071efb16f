import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.wire.cluster_status import (
    ClusterHost,
    ClusterMove,
    ClusterNode,
    ClusterSplitter,
    ClusterStatus,
    decode_cluster_status,
    encode_cluster_status,
)

STATUS = ClusterStatus(
    at_ms=1_700_000_000_000,
    partitions=4,
    nodes=[ClusterNode("ab12", "10.0.0.1", 2.0, 1)],
    hosts=[
        ClusterHost("conductor-host-1", "ab12", [0, 2], 7, 3.5, 0.25, 0.5, 1 << 27, leaving=True)
    ],
    without_owner=[1, 3],
    splitter=ClusterSplitter("ab12", "running", 0.1, 12.0),
    moves=[ClusterMove(1_700_000_000_000, 1, "", "conductor-host-1", 0.4)],
)


def test_a_status_is_read_as_it_was_written() -> None:
    assert decode_cluster_status(encode_cluster_status(STATUS)) == STATUS


def test_a_status_of_a_later_version_may_have_more_keys() -> None:
    body = encode_cluster_status(STATUS).replace(b'{"at_ms"', b'{"more":[1],"at_ms"', 1)
    assert decode_cluster_status(body) == STATUS


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"at_ms":1}', b"[" * 100_000, b"\xff"])
def test_what_is_no_status_is_none(body: bytes) -> None:
    assert decode_cluster_status(body) is None


@given(st.integers(0, 1 << 53))
def test_a_status_is_never_younger_than_now(now_ms: int) -> None:
    assert STATUS.age_s(now_ms) == max(0.0, (now_ms - STATUS.at_ms) / 1000)
