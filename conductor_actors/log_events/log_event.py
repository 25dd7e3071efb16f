"""What every log event has, and how it is emitted: to subscribers, and as a line of the log."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeAlias

import msgspec
import structlog

VERSION: Final = 2  # grows when an event or a key is removed or changes its meaning

# A log is hostile input where it is read: it may be cut, mixed with anything else, or made up.
Name: TypeAlias = Annotated[str, msgspec.Meta(max_length=512)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Number: TypeAlias = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
TickMs: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]

Level: TypeAlias = Literal["debug", "info", "warning", "error"]

NEVER: Final = datetime.min.replace(tzinfo=UTC)  # no line was read

_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_CONTEXT: Final = ("host", "partition", "actor", "tenant", "session")  # written where they apply

_log = structlog.get_logger()


def _event_name(class_name: str) -> str:
    return _WORD.sub("_", class_name).lower()


class LogEvent(msgspec.Struct, kw_only=True, tag_field="event", tag=_event_name):
    """One log event. Its `event` on the wire is the class name in snake case.

    Read back from a line it also has the line's `timestamp`.
    """

    level: ClassVar[Level] = "info"
    in_text: ClassVar[bool] = True  # False: too long for a person who reads the log as text

    timestamp: Annotated[datetime, msgspec.Meta(tz=True)] = NEVER
    host: Name = ""
    partition: Name = ""
    actor: Name = ""
    tenant: Name = ""
    session: Name = ""

    def of_session(self, tenant_id: str, session_id: str) -> Self:
        """Return the event, now bound to a session's actor."""
        self.actor, self.tenant, self.session = "session", tenant_id, session_id
        return self

    @classmethod
    def event_name(cls) -> str:
        """Return the value of `event` on the wire."""
        return str(cls.__struct_config__.tag)

    def keys(self) -> dict[str, Any]:
        """Return the keys of the line beside `event`, `level` and `timestamp`."""
        keys = {name: getattr(self, name) for name in self.__struct_fields__}
        del keys["timestamp"]
        return {
            name: value
            for name, value in keys.items()
            if value is not msgspec.UNSET and (value or name not in _CONTEXT)
        }


Subscriber: TypeAlias = Callable[[LogEvent], None]

_subscribing: Final = threading.Lock()
_subscribers: tuple[Subscriber, ...] = ()  # replaced, because other threads emit meanwhile
_partition_subscribers: Final[dict[str, tuple[Subscriber, ...]]] = {}
_partition: Final = ContextVar("partition", default="")
_host = ""
_digest: Callable[[LogEvent], bool] | None = None


@contextmanager
def of_partition(partition: str) -> Iterator[None]:
    """Add the partition, such as `7/64`, to every event that this thread emits in the block.

    Threads that are made in it by `InheritingThread`, as those of actors are, add it for good.
    """
    token = _partition.set(partition)
    try:
        yield
    finally:
        _partition.reset(token)


def current_partition() -> str:
    """Return the partition for which this thread works, or an empty text."""
    return _partition.get()


@contextmanager
def of_host(host: str) -> Iterator[None]:
    """Add the host to every event that this process emits in the block."""
    global _host  # noqa: PLW0603 - a process is one host
    before, _host = _host, host
    try:
        yield
    finally:
        _host = before


@contextmanager
def digested_by(take: Callable[[LogEvent], bool]) -> Iterator[None]:
    """Call `take` with each event of a partition; write no line of those for which it is true.

    It is called on the thread that emits, so it must neither wait nor raise.
    """
    global _digest  # noqa: PLW0603 - a process has one log
    before, _digest = _digest, take
    try:
        yield
    finally:
        _digest = before


def subscribe(subscriber: Subscriber) -> None:
    """Call `subscriber` with every event, also with those below the log level.

    It is called on the thread that emits, so it must neither wait nor raise.
    """
    global _subscribers  # noqa: PLW0603 - a process has one log
    with _subscribing:
        _subscribers = (*_subscribers, subscriber)


def unsubscribe(subscriber: Subscriber) -> None:
    """Undo `subscribe`."""
    global _subscribers  # noqa: PLW0603
    with _subscribing:
        _subscribers = _without(_subscribers, subscriber)


@contextmanager
def observed_by(subscriber: Subscriber, partition: str | None = None) -> Iterator[None]:
    """Call `subscriber` with every event, or those of a partition, until the block ends.

    See `subscribe`.
    """
    if partition is None:
        subscribe(subscriber)
    else:
        with _subscribing:
            others = _partition_subscribers.get(partition, ())
            _partition_subscribers[partition] = (*others, subscriber)
    try:
        yield
    finally:
        if partition is None:
            unsubscribe(subscriber)
        else:
            _unsubscribe_from(partition, subscriber)


def _unsubscribe_from(partition: str, subscriber: Subscriber) -> None:
    with _subscribing:
        rest = _without(_partition_subscribers.pop(partition), subscriber)
        if rest:
            _partition_subscribers[partition] = rest


def _without(subscribers: tuple[Subscriber, ...], subscriber: Subscriber) -> tuple[Subscriber, ...]:
    index = subscribers.index(subscriber)
    return subscribers[:index] + subscribers[index + 1 :]


def emit(event: LogEvent, error: BaseException | None = None) -> None:
    """Hand the event to its subscribers and write its line, with the traceback of `error`."""
    event.host = event.host or _host
    event.partition = event.partition or _partition.get()
    for subscriber in _subscribers:
        subscriber(event)
    if event.partition:
        for subscriber in _partition_subscribers.get(event.partition, ()):
            subscriber(event)
        if _digest is not None and _digest(event):
            return
    write(event, error)


def write(event: LogEvent, error: BaseException | None = None) -> None:
    """Write the line of an event, of which no subscriber is notified."""
    traceback = {} if error is None else {"exc_info": error}
    getattr(_log, event.level)(event.event_name(), **event.keys(), **traceback)
