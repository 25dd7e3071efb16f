"""What an operator can do about a checkpoint that can't be resumed from."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from conductor_actors.adapters.redis.key_names import (
    CHECKPOINT_KEY,
    CHECKPOINT_SESSIONS_KEY,
    NAMESPACE_NOTE,
    PARTITION_COUNT_KEY,
    SPLITTER_KEY,
)
from conductor_actors.domain.checkpoints.encoding import (
    CHECKPOINT_VERSION,
    CheckpointError,
    FormatError,
    UnreadableHeaderError,
    WindowMismatchError,
)
from conductor_actors.errors import ConfigError

_START_OVER: Final = (
    f"delete {CHECKPOINT_KEY} and {CHECKPOINT_SESSIONS_KEY} in Redis (those of a partition end in "
    f"its number, as :{{7}}; {NAMESPACE_NOTE}): reading then begins as CONDUCTOR_START says, and "
    "sessions forget who is connected and what came before"
)


@contextmanager
def mapped_checkpoint_errors() -> Iterator[None]:
    """Raise `ConfigError` with the ways out where the block raises `CheckpointError`."""
    try:
        yield
    except CheckpointError as error:
        raise _config_error(error) from None


def partitioned(count: int) -> ConfigError:
    """Return the error for sessions that hosts share, where one collector is to have them all."""
    return ConfigError(
        f"REDIS_URL: the sessions are in {count} partitions, which hosts share: start with "
        f"--shards 2 or `python -m conductor_actors cluster up`; or delete {PARTITION_COUNT_KEY}, "
        f"{SPLITTER_KEY} and the keys of the partitions ({NAMESPACE_NOTE}): reading then begins as "
        "CONDUCTOR_START says"
    )


def unreadable(what: str) -> ConfigError:
    """Return the error for a part of the checkpoint that is damaged."""
    return ConfigError(f"REDIS_URL: {what} can't be read; {_START_OVER}")


def _config_error(error: CheckpointError) -> ConfigError:
    match error:
        case WindowMismatchError():
            return ConfigError(
                f"CONDUCTOR_WINDOW_S={error.wanted_s}: the checkpoint has windows of "
                f"{error.found_s} s; set CONDUCTOR_WINDOW_S={error.found_s}, or {_START_OVER}"
            )
        case FormatError():
            return ConfigError(
                f"REDIS_URL: the checkpoint in {CHECKPOINT_KEY} is of format {error.version}, this "
                f"version reads {CHECKPOINT_VERSION}; run the version that wrote it, or "
                f"{_START_OVER}"
            )
        case UnreadableHeaderError():
            return unreadable(CHECKPOINT_KEY)
        case _:
            return unreadable(CHECKPOINT_SESSIONS_KEY)
