"""The pauses between reads once everything was read: a read that returns nothing costs as well."""

import time
from typing import Final

from conductor_actors.adapters.redis.events.pubsub_listener import PubSubListener
from conductor_actors.ports import Clock

# Fewer, larger reads cost less, and a score is due every 5 s.
MIN_PAUSE_S: Final = 0.025
MAX_PAUSE_S: Final = 0.25  # while nothing comes


class ReadPauses:
    """A pause after each read, which doubles while reads return nothing. A message ends it early.

    It ends at the next whole second of Redis' clock, too, because ticks are due at whole seconds.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._pause_s = MIN_PAUSE_S
        self.until_s = self.earliest_s = 0.0

    def begin(self, now_ms: int, *, is_idle: bool) -> None:
        """Begin a pause after a read at this time of Redis; `is_idle` if it returned nothing."""
        self._pause_s = min(2 * self._pause_s, MAX_PAUSE_S) if is_idle else MIN_PAUSE_S
        now_s, second_s = self._clock(), (1000 - now_ms % 1000) / 1000
        self.until_s = now_s + min(self._pause_s, second_s)
        self.earliest_s = now_s + min(MIN_PAUSE_S, second_s)

    def wait(self, listener: PubSubListener | None) -> None:
        """Wait for the end of the pause."""
        if listener is None:
            self._sleep_until(self.until_s)
        else:
            listener.wait_for_messages(max(0.0, self.until_s - self._clock()))
            self._sleep_until(self.earliest_s)

    def _sleep_until(self, until_s: float) -> None:
        time.sleep(max(0.0, until_s - self._clock()))
