"""Databases: empty ones for one test each, and migrated ones that a module's tests share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from conductor_actors.adapters.postgres.migrations import migrate


@pytest.fixture
def plain_database(postgres_url: str, fresh_database: Callable[[str], str]) -> str:
    return fresh_database(postgres_url)


@pytest.fixture
def timescale_database(timescaledb_url: str, fresh_database: Callable[[str], str]) -> str:
    return fresh_database(timescaledb_url)


@pytest.fixture(scope="module")
def shared_plain_database(postgres_url: str) -> Iterator[str]:
    with _migrated(postgres_url) as url:
        yield url


@pytest.fixture(scope="module")
def shared_timescale_database(timescaledb_url: str) -> Iterator[str]:
    with _migrated(timescaledb_url) as url:
        yield url


@contextmanager
def _migrated(server_url: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = make_conninfo(server_url, dbname=name)
        migrate(url)
        yield url
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
