"""Ids, tenants and sessions.

Every name of events has its tenant as prefix, such as `acme:sync-events`. The tenant comes from the
name alone, never from the body of an event, so that access rules can enforce it.
"""

import re
from typing import Annotated, Final, NamedTuple, Self

import msgspec

DEFAULT_TENANT: Final = "default"  # whose names have no prefix
EVERY_TENANT: Final = "*"
COMMANDS: Final = "conductor:commands"  # these have a colon that is not a tenant's
SENT: Final = "conductor:sent"
POLICY: Final = "conductor:policy"
PLACEHOLDER_EVENT_ID: Final = "unknown"  # of producers that don't know the event
TENANT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


# The id of a session, an event, a user or a poll.
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class SessionKey(NamedTuple):
    """The tenant and the id of a session. Equal to a plain tuple of both."""

    tenant_id: str
    session_id: str

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.session_id}"  # no tenant has a slash

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the key that `[tenant/]session` names; the default tenant's without a slash."""
        tenant_id, slash, session_id = text.partition("/")
        return cls(tenant_id, session_id) if slash else cls(DEFAULT_TENANT, text)


def prefixed(tenant: str, name: str) -> str:
    """Return a name with the tenant's prefix."""
    return name if tenant == DEFAULT_TENANT else f"{tenant}:{name}"


def split(name: str) -> tuple[str, str] | None:
    """Split a name into tenant and bare name; None if its prefix is no tenant."""
    prefix, colon, bare_name = name.partition(":")
    if not colon or name in (COMMANDS, SENT, POLICY):
        return DEFAULT_TENANT, name
    if prefix == DEFAULT_TENANT or TENANT.fullmatch(prefix) is None:
        return None
    return prefix, bare_name
