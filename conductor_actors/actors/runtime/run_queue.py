"""The order in which mailboxes get a turn: tenant by tenant, and within a tenant by age."""

from collections import deque

from conductor_actors.actors.runtime.mailbox import PooledMailbox


class RunQueue:
    """Mailboxes with work. `push` and `pop` take constant time. Not thread-safe."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[PooledMailbox]] = {}  # by tenant; empty ones stay
        self.waiting: deque[deque[PooledMailbox]] = deque()  # those with work, the next one first

    def __len__(self) -> int:
        return sum(map(len, self.waiting))

    def push(self, mailbox: PooledMailbox, now_s: float) -> None:
        """Add a mailbox after the others of its tenant."""
        mailbox.queued_s = now_s
        queue = self._queue_of(mailbox.tenant)
        if not queue:
            self.waiting.append(queue)
        queue.append(mailbox)

    def pop(self) -> PooledMailbox:
        """Remove and return the next mailbox; its tenant goes to the back."""
        waiting = self.waiting
        queue = waiting[0]
        mailbox = queue.popleft()
        if not queue:
            waiting.popleft()
        elif len(waiting) > 1:
            waiting.rotate(-1)
        return mailbox

    def put_back(self, mailbox: PooledMailbox) -> None:
        """Make a mailbox that was popped the next one again."""
        queue = self._queue_of(mailbox.tenant)
        if queue:
            self.waiting.remove(queue)
        queue.appendleft(mailbox)
        self.waiting.appendleft(queue)

    def oldest_s(self, now_s: float) -> float:
        """Return how long the oldest mailbox has been waiting; 0 when there is none."""
        return max((now_s - queue[0].queued_s for queue in self.waiting), default=0.0)

    def _queue_of(self, tenant: str) -> deque[PooledMailbox]:
        queue = self._queues.get(tenant)
        if queue is None:
            queue = self._queues[tenant] = deque()
        return queue
