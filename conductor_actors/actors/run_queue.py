"""Who has the next turn: tenants in turn, and of each its actors in the order they came.

So a tenant with thousands of busy sessions holds up another's few by one turn, not by thousands.
"""

from collections import deque
from typing import TypeAlias

from conductor_actors.actors.mailbox import PooledMailbox

Line: TypeAlias = deque[tuple[float, PooledMailbox]]  # since when each has waited


class RunQueue:
    """Mailboxes whose actors have work. `push` and `pop` take constant time; not thread-safe."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}  # of every tenant that ever had a turn
        self.waiting: deque[Line] = deque()  # those that are not empty, in turn

    def __len__(self) -> int:
        return sum(map(len, self.waiting))

    def push(self, mailbox: PooledMailbox, now_s: float) -> None:
        """Let an actor wait behind its tenant's others."""
        line = self._lines.get(mailbox.tenant)
        if line is None:
            line = self._lines[mailbox.tenant] = deque()
        if not line:
            self.waiting.append(line)
        line.append((now_s, mailbox))

    def pop(self) -> PooledMailbox:
        """Give whose turn it is; its tenant is behind all others then."""
        line = self.waiting.popleft()
        _, mailbox = line.popleft()
        if line:
            self.waiting.append(line)
        return mailbox

    def oldest_s(self, now_s: float) -> float:
        """Say how long the one who has waited longest has waited, 0 when nobody does."""
        return max((now_s - line[0][0] for line in self.waiting), default=0.0)
