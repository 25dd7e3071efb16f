"""What a failure costs: the item that caused it, and one of a limited number of restarts."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def salvage(
    step: Callable[[S, Sequence[T]], S],
    state: S,
    items: Sequence[T],
    copy: Callable[[S], S] | None = None,
) -> tuple[S, Sequence[tuple[T, Exception]]]:
    """Return the state after all items but those that raise, and these with their errors.

    Items are folded together, and one by one only if that raises: `step` must not have changed
    its state then. With `copy`, they are folded into a copy, so no other thread sees some of them.
    """
    try:
        return step(state, items), ()
    except Exception:  # noqa: BLE001 - whatever it is, one item's bug is not the others'
        return _one_by_one(step, state if copy is None else copy(state), items)


def attempt(step: Callable[[], T]) -> tuple[T | None, Exception | None]:
    """Return the result of a step, or the error that it raised."""
    try:
        return step(), None
    except Exception as error:  # noqa: BLE001 - the same
        return None, error


def _one_by_one(
    step: Callable[[S, Sequence[T]], S], state: S, items: Sequence[T]
) -> tuple[S, Sequence[tuple[T, Exception]]]:
    poison = []
    for item in items:
        try:
            state = step(state, (item,))
        except Exception as error:  # noqa: BLE001 - the same
            poison.append((item, error))
    return state, poison


class RestartBudget:
    """A budget of `limit` restarts within any `within_s` seconds."""

    def __init__(self, limit: int = 3, within_s: float = 60.0) -> None:
        self.limit = limit
        self.within_s = within_s
        self._spent: deque[float] = deque(maxlen=limit)

    def spend(self, now_s: float) -> bool:
        """Spend one restart; return False if none is left."""
        if self.limit == 0:
            return False
        if len(self._spent) == self.limit and now_s - self._spent[0] < self.within_s:
            return False
        self._spent.append(now_s)
        return True
