"""Where a service is found."""

from conductor_actors.adapters.embedded.valkey import running_valkey
from conductor_actors.settings import Settings

REDIS = ("redis://", "rediss://", "unix://")


def url_of(source: str | None, settings: Settings) -> str | None:
    """Give the Redis that is named, or set, or a running service's own."""
    if source is not None and source.startswith(REDIS):
        return source
    return settings.redis_url or running_valkey(settings.state_dir)
