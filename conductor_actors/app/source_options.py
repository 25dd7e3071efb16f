"""What is read, and from where, by the settings."""

from conductor_actors.adapters.redis.events.event_source import SourceOptions
from conductor_actors.settings import Settings


def source_options(settings: Settings) -> SourceOptions:
    """Return what to read, and from where."""
    return SourceOptions(
        settings.transport,
        settings.tenants,
        settings.start,
        settings.window_s,
        settings.mailbox_limit,
    )
