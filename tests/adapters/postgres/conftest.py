"""A database with the tables, and a store of its rows."""

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest

from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore


@pytest.fixture
def database(plain_database: str) -> str:
    migrate(plain_database)
    return plain_database


@pytest.fixture
def store(database: str) -> Iterator[PostgresRowStore]:
    with closing(PostgresRowStore(database)) as store:
        yield store


@pytest.fixture
def tenant() -> str:
    return f"t-{uuid4().hex}"
