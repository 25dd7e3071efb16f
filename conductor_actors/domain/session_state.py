"""The state of a session: the sum of its events, and its signals at a tick.

Events change it through a draft. Source of every rule: the contract, section 2.
"""

from functools import lru_cache
from typing import Any, Final, NamedTuple

from conductor_actors.domain.anomalies.detector import Detector
from conductor_actors.domain.conductor.session_conduct import SessionConduct
from conductor_actors.domain.gaps import NO_MARKS, GapMarks, mark_for
from conductor_actors.domain.polls import Poll, open_polls
from conductor_actors.domain.scoring import (
    Contributions,
    ScoreRow,
    Scoring,
    Signals,
    category,
    clamped,
)
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.windows import (
    NEVER_MS,
    NO_TIMES,
    CountWindow,
    PresenceWindow,
    RepeatWindow,
    empty_counts,
)

NO_POLLS: Final[dict[str, Poll]] = {}  # which is replaced when there is one


class SteadyScore(NamedTuple):
    """A score that holds from one tick until another, unless an event comes."""

    from_ms: int
    until_ms: int
    scoring: Scoring
    signals: Signals
    contributions: Contributions
    score: float
    category: str


class SessionState:
    """The state of one session. Events are applied in the order of their times.

    A session begins with its first chat message, vote, reaction or join. After `timeout_s` without
    an event it is forgotten, or asleep while users are connected: it has no rows, and the next such
    event wakes it. It is forgotten when the last user leaves, or after `presence_timeout_s`.
    """

    __slots__ = (
        "active",
        "chat_is_open",
        "chats",
        "conduct",
        "connections",
        "departures",
        "detector",
        "devices",
        "guests",
        "has_joins",
        "last_event_ms",
        "leavers",
        "messages",
        "polls",
        "quiet_until_ms",
        "reactions",
        "real_event_id",
        "refused_users",
        "returns",
        "rules",
        "session_id",
        "steady_score",
        "votes",
    )

    def __init__(self, session_id: str, rules: SessionRules) -> None:
        """Begin without events."""
        window_s, window_ms = rules.window_s, rules.window_s * 1000
        self.session_id = session_id
        self.rules = rules
        self.chats: CountWindow = empty_counts(window_s)
        self.reactions: CountWindow = empty_counts(window_s)
        self.messages = RepeatWindow(window_ms)  # when each message id was first counted
        self.active = PresenceWindow(window_ms)  # when each user last chatted, voted, … or arrived
        self.leavers = PresenceWindow(window_ms)  # whose last connection ended, and when
        self.connections: dict[str, str] = {}  # who is connected: each id by itself
        self.devices = NO_TIMES  # the connections of users with several; an empty dict is replaced
        self.polls = NO_POLLS  # in the order of their last votes; replaced, not changed
        self.has_joins = False  # else the audience is unknown
        self.real_event_id: str | None = None
        self.last_event_ms: int | None = None
        self.refused_users = 0  # joins over the limit
        self.guests = 0  # active users who are not present
        self.steady_score: SteadyScore | None = None  # of the last tick, without an event since
        self.votes = 0  # these three are counted from the session's begin on
        self.departures = 0  # of users whose last connection ended
        self.returns = 0  # of users who came back within a window
        self.detector: Detector | None = None  # where there is something to watch
        self.chat_is_open = True  # else no chat is expected
        self.quiet_until_ms = 0  # by arrangement: until then nothing is expected
        self.conduct: SessionConduct | None = None  # where the conductor has something to do

    def has_row_at(self, at_ms: int) -> bool:
        """Check whether the session has begun, and had an event within its timeout."""
        last_ms = self.last_event_ms
        return last_ms is not None and at_ms - last_ms < self.rules.timeout_s * 1000

    def is_forgotten_at(self, at_ms: int) -> bool:
        """Check whether the session can have no row from `at_ms` on, unless it begins anew."""
        return is_forgotten(self.rules, self.last_event_ms, len(self.connections), at_ms)

    def signals(self, at_ms: int) -> Signals:
        """Measure the window that ends at `at_ms`, once every event before it was applied.

        Drops what no later tick can see, which changes no result at `at_ms` or after.
        """
        self._expire(at_ms)
        active, leavers = len(self.active.times_ms), len(self.leavers.times_ms)
        total = len(self.connections) + leavers + self.guests
        per_min = 60 / self.rules.window_s
        return Signals(
            self.chats.total * per_min,
            self._participation(at_ms) if self.polls else 0.0,
            active,
            total,
            self.reactions.total * per_min,
            leavers / total if leavers else 0.0,
        )

    def steady_until_ms(self, at_ms: int) -> int:
        """Return how long the signals of the tick `at_ms` hold if no event comes.

        Return `at_ms` if not even until the next tick, which is soon found in a busy session.
        """
        next_ms, until_ms = at_ms + self.rules.tick_s * 1000, NEVER_MS
        for window in (self.messages, self.active, self.leavers):
            if window.times_ms:
                expires_ms = window.expires_ms()
                if expires_ms <= next_ms:
                    return at_ms
                until_ms = min(until_ms, expires_ms)
        for counts in (self.chats, self.reactions):
            if counts.total:
                until_ms = min(until_ms, counts.expires_ms())
        for poll in self.polls.values():
            until_ms = min(until_ms, poll.expires_ms(self.rules.window_s * 1000))
        return until_ms

    def is_present(self, user_id: str) -> bool:
        """Check whether the user is connected, or has left within the window."""
        return user_id in self.connections or user_id in self.leavers.times_ms

    @property
    def event_id(self) -> str:
        """The first real event id seen, else the session id."""
        return self.real_event_id or self.session_id

    def copy(self) -> "SessionState":
        """Return an independent copy."""
        copy = SessionState(self.session_id, self.rules)
        copy.chats, copy.reactions = self.chats.copy(), self.reactions.copy()
        copy.messages = self.messages.copy()
        copy.active, copy.leavers = self.active.copy(), self.leavers.copy()
        copy.connections, copy.devices = self.connections.copy(), self.devices.copy()
        copy.polls = {key: poll.copy() for key, poll in self.polls.items()}
        copy.has_joins = self.has_joins
        copy.real_event_id = self.real_event_id
        copy.last_event_ms = self.last_event_ms
        copy.refused_users = self.refused_users
        copy.guests = self.guests
        copy.votes, copy.departures, copy.returns = self.votes, self.departures, self.returns
        copy.detector = None if self.detector is None else self.detector.copy()
        copy.chat_is_open = self.chat_is_open
        copy.quiet_until_ms = self.quiet_until_ms
        copy.conduct = self.conduct
        return copy

    def _expire(self, at_ms: int) -> None:
        """Drop what is before the window that ends at `at_ms`: this costs what expires."""
        if self.chats.total:
            self.chats.expire(at_ms)
            if not self.chats.total:
                self.chats = empty_counts(self.rules.window_s)
        if self.reactions.total:
            self.reactions.expire(at_ms)
            if not self.reactions.total:
                self.reactions = empty_counts(self.rules.window_s)
        if self.messages.times_ms:
            self.messages.expire(at_ms)
        if self.active.times_ms:
            for user_id in self.active.expire(at_ms):
                self.guests -= not self.is_present(user_id)
        if self.leavers.times_ms:
            for user_id in self.leavers.expire(at_ms):
                self.guests += user_id in self.active.times_ms

    def _participation(self, at_ms: int) -> float:
        """Return the highest share of the open polls."""
        window_ms, highest, has_over = self.rules.window_s * 1000, 0.0, False
        for poll in self.polls.values():
            if poll.is_open_at(at_ms, window_ms):
                highest = max(highest, poll.participation())
            else:
                has_over = True
        if has_over:
            self.polls = open_polls(self.polls, at_ms, window_ms) or NO_POLLS
        return highest


def is_forgotten(rules: SessionRules, last_ms: int | None, connected: int, at_ms: int) -> bool:
    """Check whether a session whose last event was at `last_ms` is over at `at_ms`."""
    if last_ms is None:
        return True
    timeout_s = rules.presence_timeout_s if connected else rules.timeout_s
    return at_ms - last_ms >= timeout_s * 1000


def row_at(
    at_ms: int,
    tenant_id: str,
    state: SessionState,
    scoring: Scoring,
    marks: GapMarks = NO_MARKS,
) -> ScoreRow:
    """Return the row of a session at a tick; it must have one."""
    steady = state.steady_score
    if steady is None or steady[2] is not scoring or not steady[0] <= at_ms < steady[1]:
        steady = state.steady_score = _score_at(at_ms, state, scoring)
    values: tuple[Any, ...] = steady  # compiled, a float would be made anew for each row
    _, _, _, signals, contributions, score, category_of_score = values
    rules, last_ms = state.rules, state.last_event_ms or 0
    tick_ms = rules.tick_s * 1000
    is_last = at_ms + tick_ms - last_ms >= rules.timeout_s * 1000  # if no event comes
    return ScoreRow(
        at_ms,
        tenant_id,
        state.session_id,
        state.real_event_id or state.session_id,
        score,
        category_of_score,
        signals,
        contributions,
        mark_for(tenant_id, marks) if marks else None,
        state.has_joins,
        quiet_until_ms=state.quiet_until_ms if at_ms <= state.quiet_until_ms else 0,
        is_chat_open=state.chat_is_open,
        is_last=is_last,
        active_until_ms=(last_ms // tick_ms + 1) * tick_ms if is_last else 0,
    )


def _score_at(at_ms: int, state: SessionState, scoring: Scoring) -> SteadyScore:
    """Score a tick. How long the score holds is only worth finding out once it has not changed."""
    last, signals = state.steady_score, state.signals(at_ms)
    until_ms = at_ms
    values: tuple[object, ...] = ()
    if last is not None and last[2] is scoring and last[3] == signals:
        until_ms, values = state.steady_until_ms(at_ms), last[2:]
    elif not signals.active_users:
        values = _scored_silence(scoring, signals.total_users)
    if not values or values[1] != signals:
        values = _scored(scoring, signals)
    scored = (at_ms, until_ms, *values)
    return tuple.__new__(SteadyScore, scored)  # the constructor takes three times as long


def _scored(scoring: Scoring, signals: Signals) -> tuple[object, ...]:
    contributions = scoring.contributions(signals)
    score = clamped(contributions.total())
    return (scoring, signals, contributions, score, category(score))


@lru_cache(4096)
def _scored_silence(scoring: Scoring, total_users: int) -> tuple[object, ...]:
    """Score a session whose users do nothing; the many sessions like this share the result."""
    return _scored(scoring, Signals(0.0, 0.0, 0, total_users, 0.0, 0.0))
