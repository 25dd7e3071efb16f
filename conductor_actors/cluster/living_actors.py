"""Which actors are alive, as the engine last said: read on a thread, so that no caller waits.

While the engine is away, what it said ages, and nothing is concluded from it.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from conductor_actors.cluster.actor_names import actor_of
from conductor_actors.cluster.host_messages import EngineView
from conductor_actors.ports import Clock

VIEW_INTERVAL_S: Final = 0.5
VIEW_MAX_AGE_S: Final = 3.0


class LivingActors:
    """Reads the view of the engine every half second, from the first call of `view` on."""

    def __init__(
        self, cluster: str, read: Callable[[], EngineView], clock: Clock = time.monotonic
    ) -> None:
        """Read with `read`, which may wait for as long as it likes, and never raises."""
        self._cluster = cluster
        self._read = read
        self._clock = clock
        self._view = EngineView(float("-inf"), frozenset(), ())
        self._seen: dict[str, float] = {}  # owners, which are few: names of actors of this cluster
        self._closed = threading.Event()
        self._started = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="living-actors", daemon=True)

    def view(self) -> EngineView:
        """Return the last view; it is without actors, and old, until the engine has answered."""
        if self._started.acquire(blocking=False):
            self._thread.start()
        return self._view

    def may_break(self, owner: str) -> bool:
        """Return whether an owner of a lease is an actor of this cluster that is dead.

        Only a view that was read after the owner was seen can say so: an older one does not have
        an actor that was created since.
        """
        actor, view, now_s = actor_of(self._cluster, owner), self.view(), self._clock()
        if actor is None or actor in view.names:
            return False
        seen_s = self._seen.setdefault(owner, now_s)
        return view.at_s > seen_s and now_s - view.at_s <= VIEW_MAX_AGE_S

    def close(self) -> None:
        """Stop reading."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            self._view = self._read()
            self._closed.wait(VIEW_INTERVAL_S)
