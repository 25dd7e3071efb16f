"""Redis names and tenants: a tenant has every name with its own prefix, `acme:sync-events`.

The tenant comes from the name alone, never from a body, so that Redis ACLs can enforce it.
"""

import re
from typing import Final

DEFAULT_TENANT: Final = "default"  # whose names have no prefix
EVERY_TENANT: Final = "*"
TENANT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def prefixed(tenant: str, name: str) -> str:
    """Give a name as that tenant has it."""
    return name if tenant == DEFAULT_TENANT else f"{tenant}:{name}"


def split(name: str) -> tuple[str, str] | None:
    """Take a name apart into tenant and bare name; None if its prefix is no tenant."""
    prefix, colon, bare_name = name.partition(":")
    if not colon:
        return DEFAULT_TENANT, name
    if prefix == DEFAULT_TENANT or TENANT.fullmatch(prefix) is None:
        return None
    return prefix, bare_name
