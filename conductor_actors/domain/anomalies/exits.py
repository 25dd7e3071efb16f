"""Mass exits: many leave within a minute, do not come back, and nobody has applauded."""

from typing import Final

import msgspec

from conductor_actors.domain.anomalies import reasons
from conductor_actors.domain.anomalies.baseline import Baseline
from conductor_actors.domain.anomalies.changes import Severity
from conductor_actors.domain.anomalies.finding import Finding
from conductor_actors.domain.anomalies.parameters import Parameters

WITHIN_S: Final = 60
MASS_TICKS: Final = 2
CRITICAL_SHARE: Final = 0.4
ONSET_SHARE: Final = 0.9  # of those who left, since when it began
APPLAUSE_S: Final = 30


class Leaving(msgspec.Struct, frozen=True, gc=False):
    """Of the people who were there `within_s` before, so many left, and so many came back."""

    left: int
    people: int
    returned: int
    within_s: int

    @property
    def share(self) -> float:
        """The share of those who left."""
        return self.left / self.people


class Exits(msgspec.Struct, array_like=True, gc=False):
    """The departures and returns of the last minute, by the ticks that had any."""

    ticks: list[tuple[int, int, int]] = []
    departures: int = 0  # from the session's begin on
    returns: int = 0
    mass_ticks: int = 0  # in a row, at which too many had left
    calm_since_ms: int = 0
    applause_ms: int = 0  # when there was some last

    def count(self, at_ms: int, departures: int, returns: int) -> None:
        """Count up to these totals at a tick."""
        departed, returned = departures - self.departures, returns - self.returns
        if departed or returned:
            self.departures, self.returns = departures, returns
            self.ticks.append((at_ms, departed, returned))
        while self.ticks and self.ticks[0][0] <= at_ms - WITHIN_S * 1000:
            del self.ticks[0]

    def find(self, at_ms: int, people: int, parameters: Parameters) -> Finding | None:
        """Return the mass exit that there is at a tick; each tick is to be judged once."""
        if not self.ticks:
            self.mass_ticks = 0
            return None
        slow = self._leaving(at_ms, WITHIN_S, people)
        is_mass = _is_mass(slow, parameters.min_leaver_share, parameters)
        self.mass_ticks = self.mass_ticks + 1 if is_mass else 0
        if "MASS_EXIT" in parameters.types_off or self._is_ending(at_ms, parameters):
            return None
        fast = self._leaving(at_ms, parameters.fast_exit_s, people)
        if _is_mass(fast, parameters.min_fast_leaver_share, parameters):
            return self._finding(at_ms, fast)
        return self._finding(at_ms, slow) if self.mass_ticks >= MASS_TICKS else None

    def is_over(self, at_ms: int, people: int, parameters: Parameters) -> bool:
        """Check whether few have left for a while."""
        if self._leaving(at_ms, WITHIN_S, people).share >= parameters.min_leaver_share / 2:
            self.calm_since_ms = at_ms
        return at_ms - self.calm_since_ms >= parameters.recovered_s * 1000

    def watch_applause(
        self, at_ms: int, people: int, baseline: Baseline, parameters: Parameters
    ) -> None:
        """Record when so much more than usual was done that it is the applause of an ending."""
        chats, reactions, seconds = baseline.counts_since(at_ms - APPLAUSE_S * 1000)
        usual_chats = baseline.chat.rate * people * seconds
        usual_reactions = baseline.reaction.rate * people * seconds
        if (
            chats >= parameters.applause_chat * usual_chats
            and reactions >= parameters.applause_reactions * usual_reactions
            and chats + reactions >= parameters.min_applause
        ):
            self.applause_ms = at_ms

    def _is_ending(self, at_ms: int, parameters: Parameters) -> bool:
        return self.applause_ms > 0 and at_ms - self.applause_ms <= parameters.applause_s * 1000

    def _leaving(self, at_ms: int, within_s: int, people: int) -> Leaving:
        departed = returned = 0
        for tick_ms, departures, returns in self.ticks:
            if tick_ms > at_ms - within_s * 1000:
                departed += departures
                returned += returns
        left = max(0, departed - returned)
        return Leaving(left, max(1, people + left), returned, within_s)

    def _finding(self, at_ms: int, leaving: Leaving) -> Finding:
        reason = reasons.of_mass_exit(
            leaving.left, leaving.people, leaving.within_s, leaving.returned
        )
        severity: Severity = "CRITICAL" if leaving.share >= CRITICAL_SHARE else "WARNING"
        onset_ms = self._onset_ms(at_ms, leaving.left)
        return Finding("MASS_EXIT", severity, leaving.share, onset_ms, reason)

    def _onset_ms(self, at_ms: int, left: int) -> int:
        """Return when most of those who left began to: the tick before the first of them."""
        begin_ms = at_ms
        for tick_ms, departures, _ in reversed(self.ticks):
            if left <= 0:
                return tick_ms
            begin_ms = tick_ms
            left -= departures
        return begin_ms


def _is_mass(leaving: Leaving, min_share: float, parameters: Parameters) -> bool:
    departed = leaving.left + leaving.returned
    return (
        leaving.left >= parameters.min_leavers
        and leaving.share >= min_share
        and leaving.returned < parameters.max_returned_share * departed
    )
