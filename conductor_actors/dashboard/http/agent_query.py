"""Parse the parameters of requests for interventions and effects."""

from collections.abc import Mapping
from typing import Final

from conductor_actors.dashboard.http.query import check_names, parse_number
from conductor_actors.ports.conductor_port import InterventionPage

MAX_INTERVENTIONS: Final = 1000  # of a response
DEFAULT_INTERVENTIONS: Final = 50
MAX_OFFSET: Final = 100_000
MAX_HOURS: Final = 31 * 24
DEFAULT_HOURS: Final = 24
MAX_EFFECT_DAYS: Final = 366
DEFAULT_EFFECT_DAYS: Final = 90


def parse_session(query: Mapping[str, str]) -> InterventionPage:
    """Parse `limit` and `offset`; raise `Denied` for what is invalid."""
    check_names(query, "limit", "offset")
    return InterventionPage(_limit(query), parse_number(query, "offset", 0, 0, MAX_OFFSET))


def parse_event(query: Mapping[str, str]) -> tuple[int, int]:
    """Parse `hours` and `limit`; raise `Denied` for what is invalid."""
    check_names(query, "hours", "limit")
    return parse_number(query, "hours", DEFAULT_HOURS, 1, MAX_HOURS), _limit(query)


def parse_effects(query: Mapping[str, str]) -> int:
    """Parse `days`; raise `Denied` for what is invalid."""
    check_names(query, "days")
    return parse_number(query, "days", DEFAULT_EFFECT_DAYS, 1, MAX_EFFECT_DAYS)


def _limit(query: Mapping[str, str]) -> int:
    return parse_number(query, "limit", DEFAULT_INTERVENTIONS, 1, MAX_INTERVENTIONS)
