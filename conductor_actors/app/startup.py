"""The first steps of a command: load the settings, configure the log, and find the servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, TextIO

from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.adapters.redis.connections.namespaces import with_namespace
from conductor_actors.log_events import VariableIgnored, emit
from conductor_actors.observability import logs
from conductor_actors.settings import Settings
from conductor_actors.settings.loading import load_settings, unknown_variables


class ServerUrls(NamedTuple):
    """The URLs of Redis and the database; empty for a server that the command does not use."""

    redis: str
    database: str


def configure(log_output: TextIO) -> Settings:
    """Return the settings; log lines are written to `log_output` as they say."""
    settings = load_settings()
    logs.configure(settings.log_level, settings.log_format, log_output)
    log_unknown_variables()
    return settings


def log_unknown_variables() -> None:
    """Log the variables `CONDUCTOR_*` that are no settings: they are probably misspelt."""
    for name, nearest in unknown_variables():
        emit(VariableIgnored(variable=name, nearest=nearest))


@contextmanager
def open_servers(
    settings: Settings, *, redis: bool = True, database: bool = True
) -> Iterator[ServerUrls]:
    """Return the URLs of the servers; those without a URL are embedded, and run until the end."""
    with EmbeddedServers(settings.state_dir) as embedded:
        redis_url, database_url = settings.redis_url, settings.database_url
        if redis and redis_url is None:
            redis_url = embedded.start_valkey()
        if database and database_url is None:
            database_url = embedded.start_postgres()
        redis_url = with_namespace(redis_url or "", settings.namespace)
        yield ServerUrls(redis_url, database_url or "")
