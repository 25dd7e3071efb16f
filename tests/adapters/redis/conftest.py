"""A client of an empty Valkey, as the adapters open it."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from conductor_actors.adapters.redis.connections.client import open_client


@pytest.fixture
def client(valkey_url: str) -> Iterator[redis.Redis]:
    with closing(open_client(valkey_url)) as client:
        yield client
