"""Databases for tests, on servers that they share."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from psycopg import sql

from conductor_actors.adapters.postgres.migrations import migrate


@contextmanager
def temporary_database(server_url: str) -> Iterator[str]:
    """Create an empty database, which exists until the block ends; return its URL."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
        finally:
            _drop_database(server, name)


def _drop_database(server: psycopg.Connection, name: str) -> None:
    """Drop a database with all connections; an autovacuum there can't be ended, and soon ends."""
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
    for _ in range(20):
        try:
            server.execute(drop)
        except psycopg.errors.InsufficientPrivilege:
            Event().wait(0.25)
        else:
            return
    server.execute(drop)


@contextmanager
def migrated_database(server_url: str) -> Iterator[str]:
    """Create a database that has the tables, which exists until the block ends; return its URL."""
    with temporary_database(server_url) as url:
        migrate(url)
        yield url
