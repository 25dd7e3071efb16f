"""Mass exits: many leave within a minute, do not come back, and nobody has applauded."""

from math import log, sqrt
from typing import Final

from conductor_actors.domain.anomalies import reasons
from conductor_actors.domain.anomalies.baseline import Baseline
from conductor_actors.domain.anomalies.changes import Severity
from conductor_actors.domain.anomalies.finding import Finding
from conductor_actors.domain.anomalies.packed_detector import Packed, PackedExits
from conductor_actors.domain.anomalies.parameters import (
    APPLAUSE_CHAT,
    APPLAUSE_REACTIONS,
    ENDING_LEAVER_SHARE,
    ENDING_MS,
    EXIT_FOR_MS,
    MAX_RETURNED_SHARE,
    MIN_AUDIENCE_SHARE,
    MIN_LEAVER_SHARE,
    MIN_LEAVERS,
    RECOVERED_S,
    Parameters,
)
from conductor_actors.domain.anomalies.stream import Stream

WITHIN_S: Final = 60
CRITICAL_SHARE: Final = 0.4
# At an ending people go on leaving: that so few do by chance is rare.
STOPPED_S: Final = 15
MIN_EXPECTED_LEAVERS: Final = 4.0
MAX_STOPPED_SHARE: Final = 0.1
MIN_LEAVING_S: Final = 10.0
# Applause is short or long. Much else is as loud, so it only delays the report of an exit.
APPLAUSE_S: Final = (15, 30)
MIN_SURGE: Final = 4
SURGE_SPREADS: Final = 0.5


class Leaving:
    """Of the people who were there `within_s` before, so many left, and so many came back."""

    __slots__ = ("left", "people", "returned", "share", "within_s")

    def __init__(self, left: int, people: int, returned: int, within_s: int) -> None:
        self.left = left
        self.people = people
        self.returned = returned
        self.within_s = within_s
        self.share = left / people


class Exits:
    """The departures and returns of the last minute, by the ticks that had any."""

    __slots__ = (
        "applause_ms",
        "calm_since_ms",
        "departures",
        "mass_since_ms",
        "returns",
        "ticks",
    )

    def __init__(self, departures: int = 0, returns: int = 0) -> None:
        self.ticks: tuple[tuple[int, int, int], ...] = ()
        self.departures = departures  # from the session's begin on
        self.returns = returns
        self.mass_since_ms = 0  # since when too many have left; 0: they have not
        self.calm_since_ms = 0
        self.applause_ms = 0  # when there was some last

    def count(self, at_ms: int, departures: int, returns: int) -> None:
        """Count up to these totals at a tick."""
        departed, returned = departures - self.departures, returns - self.returns
        if departed or returned:
            self.departures, self.returns = departures, returns
            self.ticks = (*self.ticks, (at_ms, departed, returned))
        while self.ticks and self.ticks[0][0] <= at_ms - WITHIN_S * 1000:
            self.ticks = self.ticks[1:]

    def find(
        self, at_ms: int, people: int, peak_people: int, parameters: Parameters
    ) -> Finding | None:
        """Return the mass exit that there is at a tick; each tick is to be judged once."""
        if not self.ticks:
            self.mass_since_ms = 0
            return None
        leaving = self._leaving(at_ms, WITHIN_S, people)
        if not _is_mass(leaving):
            self.mass_since_ms = 0
        elif not self.mass_since_ms:
            self.mass_since_ms = at_ms
        is_ending = self.has_applause(at_ms)
        if is_ending and leaving.share >= ENDING_LEAVER_SHARE:
            self.applause_ms = max(self.applause_ms, at_ms - ENDING_MS // 2)
        if (
            not self.mass_since_ms
            or at_ms - self.mass_since_ms < EXIT_FOR_MS
            or "MASS_EXIT" in parameters.types_off
        ):
            return None
        has_remaining = people >= MIN_AUDIENCE_SHARE * peak_people
        if is_ending and not (has_remaining and self._has_stopped(at_ms, people, leaving)):
            return None
        return self._finding(at_ms, leaving)

    def has_applause(self, at_ms: int) -> bool:
        """Check whether there was applause lately, or many have been leaving since then."""
        return self.applause_ms > 0 and at_ms - self.applause_ms <= ENDING_MS

    def is_leaving(self, at_ms: int, people: int) -> bool:
        """Check whether more people leave than usually."""
        share = self._leaving(at_ms, WITHIN_S, people).share
        return share >= ENDING_LEAVER_SHARE

    def is_over(self, at_ms: int, people: int) -> bool:
        """Check whether few have left for a while."""
        if self._leaving(at_ms, WITHIN_S, people).share >= MIN_LEAVER_SHARE / 2:
            self.calm_since_ms = at_ms
        return at_ms - self.calm_since_ms >= RECOVERED_S * 1000

    def pack(self) -> Packed:
        """Return them as a checkpoint stores them."""
        return (
            self.ticks,
            self.departures,
            self.returns,
            self.mass_since_ms,
            self.calm_since_ms,
            self.applause_ms,
        )

    def _has_stopped(self, at_ms: int, people: int, leaving: Leaving) -> bool:
        """Check whether fewer leave than if all of them were leaving, as at an ending."""
        leaving_s = (at_ms - self._onset_ms(at_ms, leaving.left)) / 1000 - STOPPED_S
        per_s = log(leaving.people / people) / max(MIN_LEAVING_S, leaving_s)
        expected = per_s * people * STOPPED_S
        left = self._leaving(at_ms, STOPPED_S, people).left
        return expected >= MIN_EXPECTED_LEAVERS and left <= MAX_STOPPED_SHARE * expected

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


def unpack_exits(packed: PackedExits) -> Exits:
    """Return the exits that were stored."""
    exits = Exits(packed.departures, packed.returns)
    exits.ticks = packed.ticks
    exits.mass_since_ms = packed.mass_since_ms
    exits.calm_since_ms = packed.calm_since_ms
    exits.applause_ms = packed.applause_ms
    return exits


def is_applause(at_ms: int, baseline: Baseline) -> bool:
    """Check whether there are so many reactions, or messages, that it may be applause."""
    chat, reaction = baseline.chat, baseline.reaction
    for within_s in APPLAUSE_S:
        chats, reactions, seconds = baseline.counts_since(at_ms - within_s * 1000)
        if _is_surge(reactions, seconds, reaction, APPLAUSE_REACTIONS) or _is_surge(
            chats, seconds, chat, APPLAUSE_CHAT
        ):
            return True
    return False


def _is_mass(leaving: Leaving) -> bool:
    departed = leaving.left + leaving.returned
    return (
        leaving.left >= MIN_LEAVERS
        and leaving.share >= MIN_LEAVER_SHARE
        and leaving.returned < MAX_RETURNED_SHARE * departed
    )


def _is_surge(count: int, seconds: int, usual: Stream, ratio: float) -> bool:
    """Check whether there are more events than so many times the usual, for certain."""
    if count < MIN_SURGE:
        return False
    fast, slow = usual.fast, usual.slow
    expected = (slow if slow > fast else fast) * seconds
    if count < ratio * expected:  # most often; the spread adds to it
        return False
    spread = sqrt(usual.dispersion * (expected + 0.5))
    return count >= ratio * expected + SURGE_SPREADS * spread
