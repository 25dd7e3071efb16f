"""Section 2 of the contract, as slowly and plainly as it can be written.

Nothing is remembered between ticks: each row comes from the list of all events of a session,
by loops over it. It shares no code with the package, so that both must be right to agree.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from conductor_actors.domain.events import (
    ChatMessage,
    Event,
    PollClosed,
    PollVote,
    Reaction,
    UserJoined,
    UserLeft,
)

MINUTE_MS = 60_000
VOTE_TIMEOUT_MS = 5 * MINUTE_MS


class Row(NamedTuple):
    """What the contract says about a session at one tick."""

    event_id: str
    signals: dict[str, float]
    score: float
    category: str


def row_at(
    tick_ms: int, session_id: str, events: Sequence[Event], window_ms: int, timeout_ms: int
) -> Row | None:
    """Judge a session at a tick; None when it has no row."""
    past = [event for event in events if event.at_ms < tick_ms]
    life = current_life(past, window_ms, timeout_ms)
    if not life or tick_ms - life[-1].at_ms >= timeout_ms:
        return None
    signals = signals_at(tick_ms, life, window_ms)
    score = score_of(signals)
    return Row(event_id_of(session_id, life), signals, score, category_of(score))


def current_life(events: Sequence[Event], window_ms: int, timeout_ms: int) -> list[Event]:
    """Leave out what came before the session (last) began, and repeats."""
    life: list[Event] = []
    for event in events:
        if life and event.at_ms - life[-1].at_ms >= timeout_ms:
            life = []
        if not life and isinstance(event, UserLeft | PollClosed):
            continue
        if not is_repeat(event, life, window_ms):
            life.append(event)
    return life


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
        if event.event_id not in (None, "unknown", session_id):
            return str(event.event_id)
    return session_id


def signals_at(tick_ms: int, life: Sequence[Event], window_ms: int) -> dict[str, float]:
    window = [event for event in life if tick_ms - window_ms <= event.at_ms < tick_ms]
    active = {
        event.user_id
        for event in window
        if isinstance(event, ChatMessage | PollVote | Reaction | UserJoined)
        and event.user_id is not None
    }
    connected = connected_after(life)
    total = len(connected | active)
    left = len(left_since(tick_ms - window_ms, life) - connected)
    per_minute = MINUTE_MS / window_ms
    return {
        "chat_msgs_per_min": per_minute * sum(isinstance(e, ChatMessage) for e in window),
        "reactions_per_min": per_minute * sum(isinstance(e, Reaction) for e in window),
        "active_users": len(active),
        "total_users": total,
        "poll_participation": poll_participation(tick_ms, life, window_ms),
        "user_leave_rate": ratio(left, total + left),
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


def poll_participation(tick_ms: int, life: Sequence[Event], window_ms: int) -> float:
    poll_id, votes = votes_on_last_poll(life)
    if not votes or tick_ms - life[votes[-1]].at_ms >= VOTE_TIMEOUT_MS:
        return 0.0
    end = close_of(poll_id, votes[0], life)
    if end is not None and tick_ms - life[end].at_ms >= window_ms:
        return 0.0
    last = len(life) if end is None else end
    peak = max(len(connected_after(life[: index + 1])) for index in range(votes[0], last))
    voters = voters_of([life[index] for index in votes])
    return ratio(voters, max(voters, peak))


def votes_on_last_poll(life: Sequence[Event]) -> tuple[str, list[int]]:
    """Find the poll voted on last, and where the votes on it are since one on another poll."""
    poll_id = ""
    votes: list[int] = []
    for index, event in enumerate(life):
        if isinstance(event, PollVote):
            votes = [*votes, index] if event.poll_id == poll_id else [index]
            poll_id = event.poll_id
    return poll_id, votes


def close_of(poll_id: str, first: int, life: Sequence[Event]) -> int | None:
    """Find where a poll was first closed after its first vote."""
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
