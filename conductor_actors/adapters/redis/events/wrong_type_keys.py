"""Event names whose key is not a stream: one tenant's must not stop the events of the others."""

import time
from collections.abc import Iterator, Sequence
from typing import Final

import redis

from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.log_events import StreamReadable, StreamUnreadable, emit
from conductor_actors.ports import Clock

KEY_TYPE_CHECK_S: Final = 5.0
KEY_TYPE_REMINDER_S: Final = 60.0


class WrongTypeKeys:
    """The names to leave out of reads. They are reported every minute, and checked every 5 s."""

    def __init__(self, client: redis.Redis, clock: Clock = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._types: dict[str, str] = {}
        self._next_check_s = self._next_reminder_s = 0.0

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def type_of(self, name: str) -> str:
        """Return the type of a name's key, as Redis calls it."""
        return self._types[name]

    def check(self, names: Sequence[str]) -> None:
        """Find out which names are no streams; one that does not exist may become one."""
        with mapped_errors():
            replies = pipeline(self._client, [("TYPE", name) for name in names])
        before, found = self._types, dict(zip(names, replies, strict=True))
        self._types = {name: kind for name, kind in before.items() if name not in found}
        self._types |= {
            name: kind.decode() for name, kind in found.items() if kind not in (b"stream", b"none")
        }
        now_s = self._clock()
        self._next_check_s = now_s + KEY_TYPE_CHECK_S
        self._report(before, now_s)

    def exclude_from(self, names: Sequence[str]) -> Sequence[str]:
        """Return the names without those that are no streams."""
        if not self._types:
            return names
        if self._clock() >= self._next_check_s:
            self.check([*self._types])
        return [name for name in names if name not in self._types]

    def _report(self, before: dict[str, str], now_s: float) -> None:
        is_due = now_s >= self._next_reminder_s
        for name, kind in self._types.items():
            if is_due or name not in before:
                emit(StreamUnreadable(source=name, kind=kind, streams=len(self._types)))
                self._next_reminder_s = now_s + KEY_TYPE_REMINDER_S
        for name in before.keys() - self._types.keys():
            emit(StreamReadable(source=name, streams=len(self._types)))
