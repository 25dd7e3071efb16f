"""What holds for all sessions of a tenant: what was learnt, the modes of its events, its texts.

Directives are entries like events, and a tick carries those that came before it. So every session
decides a tick by the same ones, in a replay, too.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias, final

import msgspec

from conductor_actors.domain.conductor.interventions import ActionType, Mode
from conductor_actors.domain.conductor.policy import CellSums, Policy

EVERY_SESSION: Final = ""  # no session has this id
MAX_EVENT_MODES: Final = 10_000  # of a tenant; the one set longest ago makes room


@final
class EventModeSet(msgspec.Struct, frozen=True, gc=False):
    """The mode of an event's sessions; None: the default."""

    at_ms: int
    event_id: str
    mode: Mode | None


@final
class TemplatesSet(msgspec.Struct, frozen=True):
    """What actions say; types that are left out say their defaults."""

    at_ms: int
    templates: dict[ActionType, dict[str, Any]]


@final
class PolicyLearnt(msgspec.Struct, frozen=True, gc=False):
    """A version of the policy."""

    at_ms: int
    policy: Policy


Directive: TypeAlias = EventModeSet | TemplatesSet | PolicyLearnt


class Directives(msgspec.Struct, frozen=True):
    """The directives of one tenant. `modes` are of events; `templates` replace defaults."""

    policy: Policy = Policy()
    modes: dict[str, Mode] = {}
    templates: dict[ActionType, dict[str, Any]] = {}

    def after(self, directive: Directive) -> "Directives":
        """Return what holds from a directive on."""
        match directive:
            case PolicyLearnt(_, policy):
                return msgspec.structs.replace(self, policy=policy)
            case TemplatesSet(_, templates):
                return msgspec.structs.replace(self, templates=templates)
            case EventModeSet(_, event_id, mode):
                modes = {key: value for key, value in self.modes.items() if key != event_id}
                if mode is not None:
                    modes[event_id] = mode
                if len(modes) > MAX_EVENT_MODES:
                    del modes[next(iter(modes))]
                return msgspec.structs.replace(self, modes=modes)


DirectivesByTenant: TypeAlias = Mapping[str, Directives]

DEFAULT_DIRECTIVES: Final = Directives()
NO_DIRECTIVES: Final[DirectivesByTenant] = MappingProxyType({})


class _PolicyBody(msgspec.Struct, gc=False):
    version: int
    cells: dict[str, CellSums]


_policy: Final = msgspec.json.Decoder(_PolicyBody).decode


def decode_policy(body: bytes, at_ms: int) -> tuple[str, PolicyLearnt]:
    """Read `conductor:policy`; raise msgspec's errors for what is no policy."""
    found = _policy(body)
    return EVERY_SESSION, PolicyLearnt(at_ms, Policy(found.version, found.cells))
