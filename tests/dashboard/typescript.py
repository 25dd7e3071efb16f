"""Write the types of the JSON bodies as TypeScript: `python -m tests.dashboard.typescript`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo, fields

import conductor_actors.dashboard
from conductor_actors.dashboard import agent_bodies, bodies, stored_bodies
from conductor_actors.domain.conductor import templates
from conductor_actors.wire.anomaly_messages import Anomaly, AnomalyEnd
from conductor_actors.wire.intervention_bodies import (
    DecisionBody,
    ExecutedBody,
    RewardBody,
    SessionEvent,
    StatusBody,
)
from conductor_actors.wire.report_bodies import Report
from conductor_actors.wire.updates import Update

FILE: Final = Path(conductor_actors.dashboard.__file__).parent / "static" / "types.d.ts"
_ROOTS: Final = (
    Update,
    Anomaly,
    AnomalyEnd,
    bodies.EngagementHistory,
    bodies.SessionList,
    bodies.SubscriptionError,
    bodies.History,
    bodies.StepHistory,
    bodies.ScoreHistories,
    bodies.Explanation,
    bodies.AnomalyList,
    bodies.QualityReport,
    bodies.FeedbackRequest,
    bodies.QuietRequest,
    bodies.CommandAccepted,
    bodies.Refusal,
    *(SessionEvent, StatusBody, DecisionBody, ExecutedBody, RewardBody),
    agent_bodies.ModeRequest,
    agent_bodies.SessionAgent,
    agent_bodies.EventMode,
    agent_bodies.ApprovalRequest,
    agent_bodies.DismissalRequest,
    agent_bodies.DecisionAnswered,
    agent_bodies.DecisionExplanation,
    agent_bodies.DecisionList,
    agent_bodies.ManualRequest,
    agent_bodies.ManualAccepted,
    agent_bodies.InterventionStats,
    agent_bodies.EffectReport,
    agent_bodies.TemplatesRequest,
    agent_bodies.Templates,
    *templates.CONTENT_TYPES.values(),
    stored_bodies.SessionSummaryList,
    stored_bodies.Titles,
    stored_bodies.AboutRequest,
    stored_bodies.SessionTimeline,
    stored_bodies.EventList,
    stored_bodies.EventOverview,
    stored_bodies.ExportColumns,
    Report,
)
_NAMES: Final = {str: "string", int: "number", float: "number", bool: "boolean", NoneType: "null"}
_HEAD: Final = """\
/**
 * The bodies that the service sends, made from its own types.
 * Don't edit: `python -m tests.dashboard.typescript` writes this file, and a test compares it.
 */
"""


def declarations() -> str:
    """Return the whole file."""
    structs = dict.fromkeys(struct for root in _ROOTS for struct in _structs_in(root))
    return "\n".join([_HEAD, *map(_interface, structs)])


def _structs_in(kind: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
        for field in fields(kind):
            yield from _structs_in(field.type)
    for part in get_args(kind):
        yield from _structs_in(part)


def _interface(struct: type[msgspec.Struct]) -> str:
    promise = (struct.__doc__ or "").splitlines()[0]
    lines = "".join(f"  readonly {_field(field)};\n" for field in fields(struct))
    return f"/** {promise} */\nexport interface {struct.__name__} {{\n{lines}}}\n"


def _field(field: FieldInfo) -> str:
    return f"{field.encode_name}{'' if field.required else '?'}: {_written(field.type)}"


def _written(kind: Any) -> str:
    if kind is Any:
        return "unknown"
    if kind in _NAMES:
        return _NAMES[kind]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind.__name__
    return _composed(get_origin(kind), get_args(kind))


def _composed(origin: Any, args: tuple[Any, ...]) -> str:
    if origin is Literal:
        return " | ".join(msgspec.json.encode(value).decode() for value in args)
    known = [arg for arg in args if arg is not msgspec.UnsetType]  # an absent key has `?`
    parts = list(dict.fromkeys(map(_written, known[:1] if origin is Annotated else known)))
    if origin is Annotated:
        return parts[0]
    if origin in (Union, UnionType):
        return " | ".join(parts)
    if origin is tuple:
        return f"readonly [{', '.join(map(_written, args))}]"
    if origin in (Sequence, list):
        return f"readonly ({parts[0]})[]" if " | " in parts[0] else f"readonly {parts[0]}[]"
    if origin in (dict, Mapping):
        return f"Readonly<Record<{_written(args[0])}, {_written(args[1])}>>"
    raise NotImplementedError(origin)


if __name__ == "__main__":
    FILE.write_text(declarations(), encoding="utf-8")
