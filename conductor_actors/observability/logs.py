"""The format of log lines: one JSON object a line; on a terminal readable text."""

import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal, TextIO, TypeAlias, get_args

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

from conductor_actors import log_events

COPIED_CHARS: Final = 4000  # of each text in a copy: a stack may be long

Line: TypeAlias = MutableMapping[str, Any]

_NOT_IN_TEXT: Final = frozenset(
    kind.event_name() for kind in get_args(log_events.AnyEvent) if not kind.in_text
)

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_Sink = Callable[[str], None]


class LineWriter:
    """Writes whole lines. If the reader goes away, lines are lost; the actor goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        """Write one line."""
        with suppress(OSError, ValueError):  # ValueError: the stream is closed
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = msg


class _Copies:
    """Passes a copy of each line, as JSON, to every sink."""

    def __init__(self) -> None:
        self.sinks: list[_Sink] = []

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if self.sinks:
            copy = structlog.processors.format_exc_info(logger, method, {**event})
            line = _encoded({key: _cut(value) for key, value in copy.items()})
            for sink in self.sinks:
                sink(line)
        return event


_copies: Final = _Copies()


@contextmanager
def copied_to(sink: Callable[[str], None]) -> Iterator[None]:
    """Pass every line to `sink` too, until the block ends. It must neither wait nor raise."""
    _copies.sinks.append(sink)
    try:
        yield
    finally:
        _copies.sinks.remove(sink)


def configure(
    level: Literal["debug", "info", "warning", "error"] = "info",
    style: Literal["auto", "json", "text"] = "auto",
    stream: TextIO | None = None,
    shard: str | None = None,
) -> None:
    """Send the log stream to `stream` (default: stdout).

    `shard` stands in every line.
    """
    stream = stream or sys.stdout
    is_text = style == "text" or (style == "auto" and stream.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *([] if shard is None else [_of(shard)]),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _copies,
            *(_text(stream) if is_text else _json()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: LineWriter(stream),
        cache_logger_on_first_use=False,
    )


def _of(shard: str) -> structlog.typing.Processor:
    def process(_: Any, __: str, line: Line) -> Line:  # noqa: ANN401 - structlog's kind
        return {**line, "shard": shard}

    return process


def _text(stream: TextIO) -> list[Any]:
    # Plain tracebacks: rich ones show local variables, and with them events and ids of users.
    return [
        _without_lists,
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        ),
    ]


def _without_lists(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Drop lines that would fill a screen; `inspect` shows them."""
    if event["event"] in _NOT_IN_TEXT:
        raise structlog.DropEvent
    return event


def _json() -> list[Any]:
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_encoded),
    ]


def _encoded(event: dict[str, Any], **_: object) -> str:
    head = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return msgspec.json.encode(head | event, enc_hook=repr).decode()


def _cut(value: object) -> object:
    return value[:COPIED_CHARS] if isinstance(value, str) else value
