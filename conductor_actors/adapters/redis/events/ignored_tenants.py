"""Names of events whose prefix is no tenant, such as `Acme:sync-events`: they are not read."""

from typing import Final

from conductor_actors.domain.events import DECODERS
from conductor_actors.domain.identity import TENANT
from conductor_actors.log_events import TenantIgnored, emit

MAX_IGNORED_PREFIXES: Final = 100  # so that no producer can flood the log
MAX_PREFIX_CHARS: Final = 128  # of a line; a tenant has 63 at most


class IgnoredTenants:
    """Reports each prefix once, and no more than a hundred of them. Threads share it."""

    def __init__(self) -> None:
        self._prefixes: set[str] = set()

    def report(self, name: str) -> None:
        """Report the prefix of a name that has no tenant, if it is a name of events at all."""
        prefix, _, bare_name = name.rpartition(":")
        if bare_name not in DECODERS or prefix in self._prefixes:
            return
        if len(self._prefixes) < MAX_IGNORED_PREFIXES:
            self._prefixes.add(prefix)
            emit(TenantIgnored(prefix=prefix[:MAX_PREFIX_CHARS], pattern=TENANT.pattern))
