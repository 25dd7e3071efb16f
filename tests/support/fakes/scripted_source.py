"""A source that reads from a script."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from conductor_actors.ports import ReadResult

NOTHING_WAIT_S = 0.005
PATIENCE_S = 60.0

Step: TypeAlias = ReadResult | Exception | Callable[[], ReadResult]


class ScriptedSource:
    """Do one step of the script a read, and nothing once it has been played.

    A read after the last step says that the step has been routed: see `wait_played`. A position
    is the number of steps that were done; to resume is to leave so many out.
    """

    def __init__(self, script: Sequence[Step]) -> None:
        self._script = list(script)
        self._last = ReadResult((), 0, 0)
        self._played = threading.Event()
        self._done = 0
        self.calls = 0
        self.closed = False
        self.subscribe_calls = 0

    def subscribe(self) -> None:
        self.subscribe_calls += 1

    def resume(self, position: bytes) -> None:
        assert self.calls == 0
        self._done = int(position)
        del self._script[: self._done]

    def position(self) -> bytes:
        return b"%d" % self._done

    def read(self) -> ReadResult:
        self.calls += 1
        if not self._script:
            self._played.set()
            threading.Event().wait(NOTHING_WAIT_S)
            return ReadResult((), self._last.watermark_ms, self._last.now_ms)
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        self._done += 1
        self._last = step if isinstance(step, ReadResult) else step()
        return self._last

    def wait_played(self) -> None:
        assert self._played.wait(PATIENCE_S)

    def close(self) -> None:
        self.closed = True
