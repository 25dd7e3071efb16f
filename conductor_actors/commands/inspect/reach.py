"""Where a service is found, and how a session is named."""

from conductor_actors.adapters.embedded.valkey import running_valkey
from conductor_actors.commands.inspect.histories import Key
from conductor_actors.domain.identity import DEFAULT_TENANT
from conductor_actors.settings import Settings

REDIS = ("redis://", "rediss://", "unix://")


def key_of(name: str) -> Key:
    """Read `[TENANT/]ID`."""
    tenant, slash, session = name.partition("/")
    return (tenant, session) if slash else (DEFAULT_TENANT, name)


def url_of(source: str | None, settings: Settings) -> str | None:
    """Give the Redis that is named, or set, or a running service's own."""
    if source is not None and source.startswith(REDIS):
        return source
    return settings.redis_url or running_valkey(settings.state_dir)
