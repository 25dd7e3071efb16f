"""Call a server for one tenant after the other, so that none can hold up the others."""

from collections.abc import Callable, Iterable

from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.outages import Backoff


def call_for_tenants(
    backoff: Backoff, tenants: Iterable[str], call: Callable[[str], None]
) -> Unavailable | ConfigError | None:
    """Call for each tenant, and record in the backoff whether all succeeded.

    Return the first error. What the server refuses for one tenant does not stop the others; a
    server that is away is not called again.
    """
    try:
        with backoff.attempt():
            _call_each(tenants, call)
    except (Unavailable, ConfigError) as error:
        return error
    return None


def _call_each(tenants: Iterable[str], call: Callable[[str], None]) -> None:
    refusals = []
    for tenant in tenants:
        try:
            call(tenant)
        except ConfigError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]
