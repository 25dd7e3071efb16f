"""The format of log lines: one JSON object per line, or readable text on a terminal."""

import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal, TextIO, TypeAlias, get_args

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

from conductor_actors import log_events

MAX_COPIED_TEXT_CHARS: Final = 4000  # a stack trace may be long

Line: TypeAlias = MutableMapping[str, Any]

_JSON_ONLY_EVENTS: Final = frozenset(
    kind.event_name() for kind in get_args(log_events.AnyEvent) if not kind.in_text
)

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_LineSink = Callable[[str], None]


class LineWriter:
    """Writes whole lines. If the stream is closed, lines are lost and no error is raised."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        """Write one line."""
        with suppress(OSError, ValueError):  # ValueError: the stream is closed
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = msg


class _LineCopier:
    """Passes each line, as JSON, to every sink."""

    def __init__(self) -> None:
        self.sinks: list[_LineSink] = []

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if self.sinks:
            copy = structlog.processors.format_exc_info(logger, method, {**event})
            line = _encode({key: _truncate(value) for key, value in copy.items()})
            for sink in self.sinks:
                sink(line)
        return event


_copier: Final = _LineCopier()


@contextmanager
def copy_lines_to(sink: Callable[[str], None]) -> Iterator[None]:
    """Pass every line to `sink` too, until the block ends. `sink` must not block or raise."""
    _copier.sinks.append(sink)
    try:
        yield
    finally:
        _copier.sinks.remove(sink)


def configure(
    level: Literal["debug", "info", "warning", "error"] = "info",
    style: Literal["auto", "json", "text"] = "auto",
    stream: TextIO | None = None,
    shard: str | None = None,
) -> None:
    """Configure logging to `stream` (default: stdout); a `shard` is added to each line."""
    stream = stream or sys.stdout
    is_text = style == "text" or (style == "auto" and stream.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *([] if shard is None else [_add_shard(shard)]),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _copier,
            *(_text_processors(stream) if is_text else _json_processors()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: LineWriter(stream),
        cache_logger_on_first_use=False,
    )


def _add_shard(shard: str) -> structlog.typing.Processor:
    def process(_: Any, __: str, line: Line) -> Line:  # noqa: ANN401 - structlog's kind
        return {**line, "shard": shard}

    return process


def _text_processors(stream: TextIO) -> list[Any]:
    # Plain tracebacks: rich ones show local variables, which may hold event bodies and user ids.
    return [
        _drop_json_only_events,
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        ),
    ]


def _drop_json_only_events(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Drop lines with long lists, which would fill a terminal; `inspect` shows them."""
    if event["event"] in _JSON_ONLY_EVENTS:
        raise structlog.DropEvent
    return event


def _json_processors() -> list[Any]:
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_encode),
    ]


def _encode(event: dict[str, Any], **_: object) -> str:
    head = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return msgspec.json.encode(head | event, enc_hook=repr).decode()


def _truncate(value: object) -> object:
    return value[:MAX_COPIED_TEXT_CHARS] if isinstance(value, str) else value
