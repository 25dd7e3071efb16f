"""A deployment of the service on servers of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.e2e.deployment import Deployment
from tests.support.databases import temporary_database
from tests.support.programs import QUICK


@pytest.fixture
def deployment(
    valkey_url: str, postgres_url: str, redis_client: redis.Redis, tmp_path: Path
) -> Iterator[Deployment]:
    with temporary_database(postgres_url) as url:
        settings = {"REDIS_URL": valkey_url, "DATABASE_URL": url, "CONDUCTOR_CHECKPOINT_S": "0.5"}
        yield Deployment(redis_client, QUICK | settings, tmp_path)
