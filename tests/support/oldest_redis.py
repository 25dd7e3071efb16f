"""Redis 7.0 of Debian 12, which also has TLS; the Valkey of other tests has none."""

import os

import pytest

_REDIS_7_0 = "CONDUCTOR_TEST_REDIS_7_0"


def redis_7_0() -> str:
    """Return the path of a `redis-server` 7.0."""
    path = os.environ.get(_REDIS_7_0)
    if path is not None:
        return path
    how = f"set {_REDIS_7_0} to the path of a redis-server 7.0"
    if "CONDUCTOR_TEST_REQUIRE_ALL" in os.environ:
        pytest.fail(how)
    pytest.skip(how)
