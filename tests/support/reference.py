"""Section 2 of the contract, as slowly and plainly as it can be written.

Nothing is remembered between ticks: each row comes from the list of all events of a session,
by loops over it. It shares no code with the package, so that both must be right to agree.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from conductor_actors.domain.events import (
    COMMANDED,
    ChatMessage,
    ChatSwitched,
    Event,
    PollClosed,
    PollVote,
    Reaction,
    UserJoined,
    UserLeft,
)

MINUTE_MS = 60_000
VOTE_TIMEOUT_MS = 5 * MINUTE_MS
MAX_OPEN_POLLS = 16


class Row(NamedTuple):
    """What the contract says about a session at one tick."""

    event_id: str
    signals: dict[str, float]
    score: float
    category: str


class Timeouts(NamedTuple):
    """After how many milliseconds without an event a session is asleep, and forgotten."""

    sleep_ms: int = 30 * MINUTE_MS
    presence_ms: int = 360 * MINUTE_MS


TIMEOUTS = Timeouts()


def row_at(
    tick_ms: int,
    session_id: str,
    events: Sequence[Event],
    window_ms: int = MINUTE_MS,
    timeouts: Timeouts = TIMEOUTS,
) -> Row | None:
    """Judge a session at a tick; None when it has no row."""
    past = [event for event in events if event.at_ms < tick_ms]
    life, last_ms = current_life(past, window_ms, timeouts)
    if not life or tick_ms - last_ms >= timeouts.sleep_ms:
        return None
    signals = signals_at(tick_ms, life, window_ms)
    score = score_of(signals)
    return Row(event_id_of(session_id, life), signals, score, category_of(score))


def current_life(
    events: Sequence[Event], window_ms: int, timeouts: Timeouts
) -> tuple[list[Event], int]:
    """Leave out what came before the session (last) began, and repeats.

    The time is that of the last event before which the session was not asleep.
    """
    life: list[Event] = []
    last_ms = 0
    for event in events:
        is_silent = event.at_ms - last_ms >= timeouts.sleep_ms
        is_gone = event.at_ms - last_ms >= timeouts.presence_ms
        if life and is_silent and (is_gone or not connected_after(life)):
            life = []
        is_activity = not isinstance(event, (ChatSwitched, *COMMANDED))
        can_wake = is_activity and not isinstance(event, UserLeft | PollClosed)
        if not life and not can_wake:
            continue
        if not is_repeat(event, life, window_ms):
            life.append(event)
            if is_activity and (can_wake or not is_silent):
                last_ms = event.at_ms
    return life, last_ms


def is_repeat(event: Event, life: Sequence[Event], window_ms: int) -> bool:
    if not isinstance(event, ChatMessage) or event.message_id is None:
        return False
    return any(
        isinstance(first, ChatMessage)
        and first.message_id == event.message_id
        and event.at_ms - first.at_ms < window_ms
        for first in life
    )


def event_id_of(session_id: str, life: Sequence[Event]) -> str:
    for event in life:
        event_id = getattr(event, "event_id", None)
        if event_id not in (None, "unknown", session_id):
            return str(event_id)
    return session_id


def signals_at(tick_ms: int, life: Sequence[Event], window_ms: int) -> dict[str, float]:
    window = [event for event in life if tick_ms - window_ms <= event.at_ms < tick_ms]
    spoke = {
        event.user_id for event in window if isinstance(event, ChatMessage | PollVote | Reaction)
    }
    active = (spoke - {None}) | arrived_since(tick_ms - window_ms, life, window_ms)
    connected = connected_after(life)
    left = left_since(tick_ms - window_ms, life) - connected
    total = len(connected | active | left)
    per_minute = MINUTE_MS / window_ms
    return {
        "chat_msgs_per_min": per_minute * sum(isinstance(e, ChatMessage) for e in window),
        "reactions_per_min": per_minute * sum(isinstance(e, Reaction) for e in window),
        "active_users": len(active),
        "total_users": total,
        "poll_participation": poll_participation(tick_ms, life, window_ms),
        "user_leave_rate": ratio(len(left), total),
    }


def connected_after(events: Sequence[Event]) -> set[str]:
    connections: Counter[str] = Counter()
    for event in events:
        if isinstance(event, UserJoined):
            connections[event.user_id] += 1
        if isinstance(event, UserLeft) and connections[event.user_id] > 0:
            connections[event.user_id] -= 1
    return {user for user, count in connections.items() if count > 0}


def left_since(start_ms: int, life: Sequence[Event]) -> set[str]:
    """Find whose last connection ended; the leave that did it is the one that changed the set."""
    left: set[str] = set()
    for index, event in enumerate(life):
        if isinstance(event, UserLeft) and event.at_ms >= start_ms:
            left |= connected_after(life[:index]) - connected_after(life[: index + 1])
    return left


def arrived_since(start_ms: int, life: Sequence[Event], window_ms: int) -> set[str]:
    """Find whose join was an arrival: not connected, and nobody who had just left."""
    return {
        event.user_id
        for index, event in enumerate(life)
        if isinstance(event, UserJoined)
        and event.at_ms >= start_ms
        and event.user_id not in connected_after(life[:index])
        and event.user_id not in left_since(event.at_ms - window_ms + 1, life[:index])
    }


def poll_participation(tick_ms: int, life: Sequence[Event], window_ms: int) -> float:
    shares = [participation_in(votes, life) for votes in open_polls(tick_ms, life, window_ms)]
    return max(shares, default=0.0)


def participation_in(votes: Sequence[int], life: Sequence[Event]) -> float:
    end = close_of(votes[0], life)
    last = len(life) if end is None else end
    peak = max(len(connected_after(life[: index + 1])) for index in range(votes[0], last))
    voters = voters_of([life[index] for index in votes])
    return ratio(voters, max(voters, peak))


def open_polls(at_ms: int, life: Sequence[Event], window_ms: int) -> list[list[int]]:
    """Find the votes on each open poll since it (last) began, by their places in the life."""
    polls: list[list[int]] = []  # the one voted on longest ago first
    for index, vote in enumerate(life):
        if not isinstance(vote, PollVote):
            continue
        so_far = life[:index]
        polls = [votes for votes in polls if is_open(votes, vote.at_ms, so_far, window_ms)]
        votes = next((votes for votes in polls if poll_of(votes, life) == vote.poll_id), [])
        polls = [*(other for other in polls if other is not votes), [*votes, index]]
        polls = polls[-MAX_OPEN_POLLS:]
    return [votes for votes in polls if is_open(votes, at_ms, life, window_ms)]


def poll_of(votes: Sequence[int], life: Sequence[Event]) -> str:
    vote = life[votes[0]]
    assert isinstance(vote, PollVote)
    return vote.poll_id


def is_open(votes: Sequence[int], at_ms: int, life: Sequence[Event], window_ms: int) -> bool:
    end = close_of(votes[0], life)
    if end is not None and at_ms - life[end].at_ms >= window_ms:
        return False
    return at_ms - life[votes[-1]].at_ms < VOTE_TIMEOUT_MS


def close_of(first: int, life: Sequence[Event]) -> int | None:
    """Find where a poll was first closed after its first vote."""
    poll_id = poll_of([first], life)
    for index, event in enumerate(life):
        if index > first and isinstance(event, PollClosed) and event.poll_id == poll_id:
            return index
    return None


def voters_of(votes: Sequence[Event]) -> int:
    users = [vote.user_id for vote in votes if isinstance(vote, PollVote)]
    return len(set(users) - {None}) + users.count(None)


def score_of(signals: dict[str, float]) -> float:
    score = (
        0.30 * min(1.0, math.log(signals["chat_msgs_per_min"] + 1) / math.log(20 + 1))
        + 0.25 * signals["poll_participation"]
        + 0.25 * ratio(signals["active_users"], signals["total_users"])
        + 0.10 * min(1.0, math.log(signals["reactions_per_min"] + 1) / math.log(10 + 1))
        - 0.10 * signals["user_leave_rate"]
    )
    return min(1.0, max(0.0, score))


def category_of(score: float) -> str:
    bounds = [("VERY_HIGH", 0.8), ("HIGH", 0.6), ("MODERATE", 0.4), ("LOW", 0.2)]
    for name, bound in bounds:
        if score >= bound:
            return name
    return "VERY_LOW"


def ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
