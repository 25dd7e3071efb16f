"""Databases: empty ones for one test each, and migrated ones that a module's tests share."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.databases import migrated_database


@pytest.fixture
def plain_database(postgres_url: str, fresh_database: Callable[[str], str]) -> str:
    return fresh_database(postgres_url)


@pytest.fixture
def timescale_database(timescaledb_url: str, fresh_database: Callable[[str], str]) -> str:
    return fresh_database(timescaledb_url)


@pytest.fixture(scope="module")
def shared_plain_database(postgres_url: str) -> Iterator[str]:
    with migrated_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="module")
def shared_timescale_database(timescaledb_url: str) -> Iterator[str]:
    with migrated_database(timescaledb_url) as url:
        yield url
