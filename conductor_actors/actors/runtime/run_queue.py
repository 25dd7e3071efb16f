"""The order in which mailboxes get a turn: tenant by tenant, and within a tenant by age."""

from collections import deque
from typing import TypeAlias

from conductor_actors.actors.runtime.mailbox import PooledMailbox

TenantQueue: TypeAlias = deque[tuple[float, PooledMailbox]]  # each with the time it was queued


class RunQueue:
    """Mailboxes with work. `push` and `pop` take constant time. Not thread-safe."""

    def __init__(self) -> None:
        self._queues: dict[str, TenantQueue] = {}  # by tenant; empty ones stay
        self.waiting: deque[TenantQueue] = deque()  # those that are not empty, the next one first

    def __len__(self) -> int:
        return sum(map(len, self.waiting))

    def push(self, mailbox: PooledMailbox, now_s: float) -> None:
        """Add a mailbox after the others of its tenant."""
        queue = self._queues.get(mailbox.tenant)
        if queue is None:
            queue = self._queues[mailbox.tenant] = deque()
        if not queue:
            self.waiting.append(queue)
        queue.append((now_s, mailbox))

    def pop(self) -> PooledMailbox:
        """Remove and return the next mailbox; its tenant goes to the back."""
        queue = self.waiting.popleft()
        _, mailbox = queue.popleft()
        if queue:
            self.waiting.append(queue)
        return mailbox

    def oldest_s(self, now_s: float) -> float:
        """Return how long the oldest mailbox has been waiting; 0 when there is none."""
        return max((now_s - queue[0][0] for queue in self.waiting), default=0.0)
