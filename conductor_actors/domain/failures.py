"""How often an actor may be restarted before somebody must look."""

from collections import deque


class RestartBudget:
    """Allow `limit` restarts within any `within_s` seconds."""

    def __init__(self, limit: int = 3, within_s: float = 60.0) -> None:
        self.limit = limit
        self.within_s = within_s
        self._spent: deque[float] = deque(maxlen=limit)

    def spend(self, now_s: float) -> bool:
        """Take one restart from the budget; False when there is none left."""
        if self.limit == 0:
            return False
        if len(self._spent) == self.limit and now_s - self._spent[0] < self.within_s:
            return False
        self._spent.append(now_s)
        return True
