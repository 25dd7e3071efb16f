"""Real servers for every test that talks to one: started once, on free loopback ports."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
import redis
from psycopg import sql
from structlog.testing import capture_logs
from structlog.typing import EventDict

from conductor_actors.adapters.embedded.servers import EmbeddedServers

# Whoever is started in the background by a shell ignores SIGINT, and so would all that we start.
signal.signal(signal.SIGINT, signal.default_int_handler)

_TIMESCALEDB_URL = "CONDUCTOR_TEST_TIMESCALEDB_URL"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def embedded_servers() -> Iterator[EmbeddedServers]:
    # Not pytest's own folder: it shuts out the account that runs PostgreSQL when we are root.
    with TemporaryDirectory() as folder, EmbeddedServers(Path(folder)) as servers:
        yield servers


@pytest.fixture(scope="session")
def valkey_url(embedded_servers: EmbeddedServers) -> str:
    return embedded_servers.start_valkey()


@pytest.fixture(scope="session")
def postgres_url(embedded_servers: EmbeddedServers) -> str:
    return embedded_servers.start_postgres()


@pytest.fixture(scope="session")
def timescaledb_url() -> str:
    url = os.environ.get(_TIMESCALEDB_URL)
    if url is not None:
        return url
    how = f"set {_TIMESCALEDB_URL} to a PostgreSQL 15+ that has the extension timescaledb"
    if "CONDUCTOR_TEST_REQUIRE_ALL" in os.environ:
        pytest.fail(how)
    pytest.skip(how)


@pytest.fixture
def log_lines() -> Iterator[list[EventDict]]:
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def redis_client(valkey_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def fresh_database() -> Iterator[Callable[[str], str]]:
    """Make empty databases: `fresh_database(server_url)` returns the new one's URL."""
    with ExitStack() as made:

        def make(server_url: str) -> str:
            name = f"test_{uuid4().hex}"
            _execute(server_url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            made.callback(_execute, server_url, drop)
            return urlsplit(server_url)._replace(path=f"/{name}").geturl()

        yield make


def _execute(server_url: str, statement: sql.Composed) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(statement)
