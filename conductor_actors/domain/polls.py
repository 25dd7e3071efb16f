"""The poll of the last vote, and the share of the connected users who voted in it."""

from dataclasses import dataclass
from typing import Final

VOTE_TIMEOUT_MS: Final = 5 * 60 * 1000  # without a vote for this long, a poll no longer counts


@dataclass(slots=True)
class Poll:
    """One poll from its first vote on. `peak_connected`: users at once, until it was closed."""

    poll_id: str
    peak_connected: int
    last_vote_ms: int
    voters: dict[str, None]  # a set takes four times as long to copy
    votes_without_user: int = 0
    closed_ms: int | None = None

    def vote(self, user_id: str | None, at_ms: int) -> None:
        """Count a voter once; a vote without a user is one more voter."""
        self.last_vote_ms = at_ms
        if user_id is None:
            self.votes_without_user += 1
        else:
            self.voters[user_id] = None

    def close(self, at_ms: int) -> None:
        """Close the poll; only the first time counts."""
        if self.closed_ms is None:
            self.closed_ms = at_ms

    def update_connected(self, count: int) -> None:
        """Record how many users are connected now."""
        if self.closed_ms is None and count > self.peak_connected:
            self.peak_connected = count

    def participation(self, at_ms: int, window_ms: int) -> float:
        """Return the share of voters among those who could have voted; 0 once the poll is over."""
        if self.closed_ms is not None and at_ms - self.closed_ms >= window_ms:
            return 0.0
        if at_ms - self.last_vote_ms >= VOTE_TIMEOUT_MS:
            return 0.0
        voters = len(self.voters) + self.votes_without_user
        return voters / max(voters, self.peak_connected)

    def copy(self) -> "Poll":
        """Return an independent copy."""
        return Poll(
            self.poll_id,
            self.peak_connected,
            self.last_vote_ms,
            self.voters.copy(),
            self.votes_without_user,
            self.closed_ms,
        )
