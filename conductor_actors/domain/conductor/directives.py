"""What holds for all sessions of a tenant: what was learnt, the modes of its events, its texts.

Directives are entries like events, and a tick carries those that came before it. So every session
decides a tick by the same ones, in a replay, too.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import msgspec

from conductor_actors.domain.conductor.interventions import ActionType, Mode
from conductor_actors.domain.conductor.policy import Policy


class Directives(msgspec.Struct, frozen=True):
    """The directives of one tenant. `modes` are of events; `templates` replace defaults."""

    policy: Policy = Policy()
    modes: dict[str, Mode] = {}
    templates: dict[ActionType, dict[str, Any]] = {}


DirectivesByTenant: TypeAlias = Mapping[str, Directives]

DEFAULT_DIRECTIVES: Final = Directives()
NO_DIRECTIVES: Final[DirectivesByTenant] = MappingProxyType({})
