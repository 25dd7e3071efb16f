"""The rules by which a session counts events. Apart from `session_state`, which is compiled."""

import msgspec

from conductor_actors.domain.anomalies.parameters import NORMAL, Parameters
from conductor_actors.domain.conductor.conduct_rules import ConductRules


class SessionRules(msgspec.Struct, frozen=True):
    """The length of a window, the timeouts of a session without events, the limit of its users."""

    window_s: int = 60
    timeout_s: int = 1800
    presence_timeout_s: int = 21_600  # of a session with connected users
    max_users: int = 0  # connected at once; 0: no limit
    tick_s: int = 5
    anomalies: Parameters = NORMAL
    conduct: ConductRules = ConductRules()

    @property
    def is_watched(self) -> bool:
        """Whether ticks and windows are such that anomalies can be detected."""
        longest_s = min(self.window_s, self.anomalies.max_tick_s)
        return self.tick_s <= longest_s and not self.anomalies.is_off
