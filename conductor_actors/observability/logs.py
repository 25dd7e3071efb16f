"""The format of log lines: one JSON object per line, or readable text on a terminal."""

import atexit
import os
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final, Literal, TextIO, TypeAlias, get_args

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

from conductor_actors import log_events
from conductor_actors.observability.log_writer import LineOutput, QueuedOutput, StreamOutput

MAX_COPIED_TEXT_CHARS: Final = 4000  # a stack trace may be long

Line: TypeAlias = MutableMapping[str, Any]

_JSON_ONLY_EVENTS: Final = frozenset(
    kind.event_name() for kind in get_args(log_events.AnyEvent) if not kind.in_text
)

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_DUMB_TERMINALS: Final = ("dumb", "unknown")  # the same as in rich

_LineSink = Callable[[str], None]

_output: LineOutput = StreamOutput(sys.stdout)


def is_plain(stream: TextIO) -> bool:
    """Return whether a stream shows no colours and has no cursor, as a file or dumb terminal."""
    return not stream.isatty() or os.environ.get("TERM", "").lower() in _DUMB_TERMINALS


class _Logger:
    """What structlog calls with each line."""

    def __init__(self, output: LineOutput) -> None:
        self.msg = self.debug = self.info = self.warning = self.error = output.write_line


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
) -> None:
    """Configure logging to `stream` (default: stdout).

    No caller waits until a line is written.
    """
    stream = stream or sys.stdout
    _open_output(stream)
    is_text = style == "text" or (style == "auto" and stream.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _copier,
            *(_text_processors(stream) if is_text else _json_processors()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: _Logger(_output),
        cache_logger_on_first_use=False,
    )


def write_line(line: str) -> None:
    """Write a line of another process to the log; never waits."""
    _output.write_line(line)


def _open_output(stream: TextIO) -> None:
    global _output  # noqa: PLW0603 - a process has one log, as structlog has one configuration
    _output.close()
    try:
        _output = QueuedOutput(stream)
    except (OSError, ValueError):  # it has no descriptor
        _output = StreamOutput(stream)


def _close_output() -> None:
    _output.close()


atexit.register(_close_output)


def _text_processors(stream: TextIO) -> list[Any]:
    # Plain tracebacks: rich ones show local variables, which may hold event bodies and user ids.
    return [
        _drop_json_only_events,
        structlog.dev.ConsoleRenderer(
            colors=not is_plain(stream), exception_formatter=structlog.dev.plain_traceback
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
