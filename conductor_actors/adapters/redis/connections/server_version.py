"""The version of Redis: 6.2 is required, and 7.0 recommended. Every Valkey is new enough."""

import re
from functools import cache
from typing import Any, Final

from conductor_actors.errors import ConfigError
from conductor_actors.log_events import RedisOutdated, emit

MIN_VERSION: Final = (6, 2)  # HELLO without arguments, and ranges that exclude their start
COUNTING_VERSION: Final = (7, 0)  # streams count the entries that were added

TOO_OLD: Final = "Redis 6.2 or later is required, or Valkey"
OUTDATED: Final = (
    "before Redis 7.0, some entries that are trimmed before they are read go unnoticed, and "
    "deploy/redis.acl can't be used"
)

_NUMBERS: Final = re.compile(r"(\d+)\.(\d+)")


def require_version(version: str) -> None:
    """Raise `ConfigError` for a version that is too old."""
    if not _is_at_least(MIN_VERSION, version):
        raise ConfigError(f"REDIS_URL: this is Redis {version}; {TOO_OLD}")


def is_outdated(version: str) -> bool:
    """Check whether a version is older than the recommended one."""
    return not _is_at_least(COUNTING_VERSION, version)


def report_outdated(reply: Any) -> None:  # noqa: ANN401 - as parsed by hiredis, or an error
    """Report, once a process, a reply to HELLO from a server that is older than recommended."""
    if isinstance(reply, list):
        reply = dict(zip(reply[::2], reply[1::2], strict=True))
    version = reply.get(b"version") if isinstance(reply, dict) else None
    if isinstance(version, bytes):
        _report_once(version.decode("ascii", "replace"))


@cache
def _report_once(version: str) -> None:
    if is_outdated(version):
        emit(RedisOutdated(version=version, advice=OUTDATED))


def _is_at_least(least: tuple[int, int], version: str) -> bool:
    """Compare versions; one of another form belongs to another program, and is new enough."""
    numbers = _NUMBERS.match(version)
    return numbers is None or (int(numbers[1]), int(numbers[2])) >= least
