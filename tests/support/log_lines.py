"""Log events by name, with the values that each requires, and their lines."""

import json
from datetime import UTC, datetime
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
from msgspec import UnsetType

from conductor_actors.log_events import AnyEvent, LogEvent

NOON = datetime(2026, 1, 4, 12, tzinfo=UTC)
KINDS: dict[str, type[LogEvent]] = {kind.event_name(): kind for kind in get_args(AnyEvent)}
_CONTEXT = {"timestamp", "host", "partition", "actor", "tenant", "session"}


def key_names(kind: type[LogEvent]) -> list[str]:
    """Return the keys of an event's line, without those that every line may have."""
    return [field.name for field in msgspec.structs.fields(kind) if field.name not in _CONTEXT]


def required_values(event: str) -> dict[str, Any]:
    """Return the smallest value of each required key."""
    fields = msgspec.structs.fields(KINDS[event])
    return {field.name: _smallest_value(field.type) for field in fields if field.required}


def make_event(event: str, **keys: Any) -> LogEvent:
    """Make an event; missing keys have their smallest value."""
    return msgspec.convert({"event": event, **required_values(event), **keys}, KINDS[event])


def make_line(event: str, at: datetime = NOON, **keys: Any) -> bytes:
    """Make the line of an event; missing keys have their smallest value."""
    return raw_line(event, at, **(required_values(event) | keys))


def raw_line(event: str, at: datetime = NOON, **keys: Any) -> bytes:
    """Make a line that has these keys alone."""
    timestamp = at.isoformat().replace("+00:00", "Z")
    return json.dumps({"timestamp": timestamp, "level": "info", "event": event} | keys).encode()


def line_with_every_key(event: str) -> bytes:
    """Make the line of an event with every key; only lists and objects are empty."""
    kind = KINDS[event]
    keys = {field.name: _example_value(field.type) for field in msgspec.structs.fields(kind)}
    del keys["timestamp"]
    return raw_line(event, **keys, level=kind.level, exception="text")


def _smallest_value(kind: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return None
    return {str: "", int: 0, float: 0.0, bool: False, dict: {}}.get(_plain(kind), [])


def _plain(kind: Any) -> Any:
    """Return a type without its annotations and parameters."""
    while hasattr(kind, "__metadata__"):
        kind = kind.__origin__
    return get_origin(kind) or kind


def _example_value(kind: Any) -> Any:
    if get_origin(kind) in (Union, UnionType):
        kind = next(each for each in get_args(kind) if each not in (type(None), UnsetType))
    plain = _plain(kind)
    return {str: "text", int: 5000, float: 5000.0, bool: True, dict: {}}.get(plain, [])
