"""Names of events that are taken by another kind of key: one tenant's must not stop the others."""

import time
from collections.abc import Iterator, Sequence
from typing import Final

import redis

from conductor_actors.adapters.redis.client import mapped_errors, pipeline
from conductor_actors.log_events import StreamReadable, StreamUnreadable, emit
from conductor_actors.ports import Clock

LOOK_EVERY_S: Final = 5.0
REMIND_EVERY_S: Final = 60.0


class WrongTypeKeys:
    """Leaves such names out, says so every minute, and looks every 5 s whether they are back."""

    def __init__(self, client: redis.Redis, clock: Clock = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._kinds: dict[str, str] = {}
        self._look_s = self._remind_s = 0.0

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def kind(self, name: str) -> str:
        """Return the type of the key."""
        return self._kinds[name]

    def find(self, names: Sequence[str]) -> None:
        """Find out which names are no streams; one that does not exist may become one."""
        with mapped_errors():
            kinds = pipeline(self._client, [("TYPE", name) for name in names])
        before, found = self._kinds, dict(zip(names, kinds, strict=True))
        self._kinds = {name: kind for name, kind in before.items() if name not in found}
        self._kinds |= {
            name: kind.decode() for name, kind in found.items() if kind not in (b"stream", b"none")
        }
        now_s = self._clock()
        self._look_s = now_s + LOOK_EVERY_S
        self._say(before, now_s)

    def without(self, names: Sequence[str]) -> Sequence[str]:
        """Leave out those that are no streams."""
        if not self._kinds:
            return names
        if self._clock() >= self._look_s:
            self.find([*self._kinds])
        return [name for name in names if name not in self._kinds]

    def _say(self, before: dict[str, str], now_s: float) -> None:
        is_due = now_s >= self._remind_s
        for name, kind in self._kinds.items():
            if is_due or name not in before:
                emit(StreamUnreadable(source=name, kind=kind, streams=len(self._kinds)))
                self._remind_s = now_s + REMIND_EVERY_S
        for name in before.keys() - self._kinds.keys():
            emit(StreamReadable(source=name, streams=len(self._kinds)))
