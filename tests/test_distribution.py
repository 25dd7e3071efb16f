"""How tests are distributed among processes."""

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process has all tests")
def test_a_modules_tests_are_a_group_for_xdist(request: pytest.FixtureRequest) -> None:
    assert request.node.nodeid.endswith("@test_distribution.py")
