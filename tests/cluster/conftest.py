"""A cluster that the tests of a module share: to start one takes as long as some of them."""

import os
from collections.abc import Iterator

import pytest

from tests.cluster.testbed import ClusterTestbed, missing_for_cluster, new_cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterTestbed]:
    if missing := missing_for_cluster():
        (pytest.fail if "CONDUCTOR_TEST_REQUIRE_ALL" in os.environ else pytest.skip)(
            f"needs {missing}"
        )
    with new_cluster() as testbed:
        yield testbed
