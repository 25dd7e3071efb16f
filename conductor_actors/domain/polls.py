"""A poll, and the share of the connected users who voted in it."""

from collections.abc import Mapping
from typing import Final

VOTE_TIMEOUT_MS: Final = 5 * 60 * 1000  # without a vote for this long, a poll is no longer open
MAX_OPEN_POLLS: Final = 16  # of a session


class Poll:
    """One poll from its first vote on. `peak_connected`: users at once, until it was closed."""

    __slots__ = (
        "closed_ms",
        "last_vote_ms",
        "new_voters",
        "peak_connected",
        "poll_id",
        "voters",
        "votes_without_user",
    )

    def __init__(self, poll_id: str, peak_connected: int, last_vote_ms: int) -> None:
        self.poll_id = poll_id
        self.peak_connected = peak_connected
        self.last_vote_ms = last_vote_ms
        self.voters: dict[str, None] = {}  # a set takes four times as long to copy
        self.votes_without_user = 0
        self.closed_ms: int | None = None
        self.new_voters: dict[str, None] = {}  # of a draft

    def vote(self, user_id: str | None, at_ms: int) -> None:
        """Count a voter once; a vote without a user is one more voter."""
        self.last_vote_ms = at_ms
        if user_id is None:
            self.votes_without_user += 1
        elif user_id not in self.voters:
            self.new_voters[user_id] = None

    def close(self, at_ms: int) -> None:
        """Close the poll; only the first time counts."""
        if self.closed_ms is None:
            self.closed_ms = at_ms

    def update_connected(self, count: int) -> None:
        """Record how many users are connected now."""
        if self.closed_ms is None and count > self.peak_connected:
            self.peak_connected = count

    def is_open_at(self, at_ms: int, window_ms: int) -> bool:
        """Check whether the poll counts."""
        return at_ms < self.expires_ms(window_ms)

    def expires_ms(self, window_ms: int) -> int:
        """Return until when the poll counts: until a window after its end, or without votes."""
        silent_ms = self.last_vote_ms + VOTE_TIMEOUT_MS
        return silent_ms if self.closed_ms is None else min(silent_ms, self.closed_ms + window_ms)

    def participation(self) -> float:
        """Return the share of voters among those who could have voted."""
        voters = self.count_voters()
        return voters / max(voters, self.peak_connected)

    def count_voters(self) -> int:
        """Return the number of voters; each vote without a user is one more."""
        return len(self.voters) + len(self.new_voters) + self.votes_without_user

    def draft(self) -> "Poll":
        """Return one that can be changed apart from this one, until its `commit` changes both."""
        draft = Poll(self.poll_id, self.peak_connected, self.last_vote_ms)
        draft.voters = self.voters
        draft.votes_without_user = self.votes_without_user
        draft.closed_ms = self.closed_ms
        return draft

    def commit(self) -> None:
        """Move the new voters to those that are shared."""
        if self.new_voters:
            self.voters.update(self.new_voters)
            self.new_voters = {}

    def copy(self) -> "Poll":
        """Return an independent copy of a poll without new voters."""
        copy = self.draft()
        copy.voters = self.voters.copy()
        return copy


def open_polls(polls: Mapping[str, Poll], at_ms: int, window_ms: int) -> dict[str, Poll]:
    """Return the polls that are open."""
    return {key: poll for key, poll in polls.items() if poll.is_open_at(at_ms, window_ms)}
