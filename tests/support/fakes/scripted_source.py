"""A source whose reads are scripted."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from conductor_actors.ports import ReadResult

NOTHING_WAIT_S = 0.005
PATIENCE_S = 60.0

Step: TypeAlias = ReadResult | Exception | Callable[[], ReadResult]


class ScriptedSource:
    """Returns one step of the script for each read, then no more entries.

    The Router reads again when it has routed a read: `wait_until_routed` waits for the read after
    the last step. A position is the number of steps read; `resume` skips that number.
    """

    def __init__(self, script: Sequence[Step]) -> None:
        self._script = list(script)
        self._last = ReadResult((), 0, 0)
        self._routed = threading.Event()
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
            self._routed.set()
            threading.Event().wait(NOTHING_WAIT_S)
            return ReadResult((), self._last.watermark_ms, self._last.now_ms)
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        self._done += 1
        self._last = step if isinstance(step, ReadResult) else step()
        return self._last

    def wait_until_routed(self) -> None:
        assert self._routed.wait(PATIENCE_S)

    def close(self) -> None:
        self.closed = True
