"""A cluster that the tests of a module share: to start one takes as long as some of them."""

import os
from collections.abc import Iterator

import pytest

from tests.cluster.nodes.testbed import ClusterTestbed, missing_for_cluster, new_cluster


def require_cluster() -> None:
    """Skip the test where there can't be a cluster, or fail if none may be skipped."""
    if missing := missing_for_cluster():
        how = f"needs {missing}"
        if "CONDUCTOR_TEST_REQUIRE_ALL" in os.environ:
            pytest.fail(how)
        pytest.skip(how)


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterTestbed]:
    require_cluster()
    with new_cluster() as testbed:
        yield testbed
