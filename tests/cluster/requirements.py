"""What tests of clusters need, which a machine may lack."""

import os
from importlib.util import find_spec

import pytest


def require_ray_installed() -> None:
    """Skip the test if Ray is not installed, or fail if none may be skipped."""
    if find_spec("ray") is not None:
        return
    how = "needs Ray: pip install 'conductor-actors[cluster]'"
    if "CONDUCTOR_TEST_REQUIRE_ALL" in os.environ:
        pytest.fail(how)
    pytest.skip(how)
