from collections.abc import Sequence

import pytest

from conductor_actors.domain.failures import RestartBudget, salvage


def quotients(state: list[int], items: Sequence[int]) -> list[int]:
    return [*state, *(60 // item for item in items)]


def test_items_are_folded_at_once_if_none_raises() -> None:
    calls = list[Sequence[int]]()

    def step(state: int, items: Sequence[int]) -> int:
        calls.append(items)
        return state + sum(items)

    assert salvage(step, 1, [2, 3]) == (6, ())
    assert calls == [[2, 3]]


def test_an_item_that_raises_costs_no_other_and_comes_back_with_its_error() -> None:
    state, poison = salvage(quotients, [1], [2, 0, 3, 0])
    assert state == [1, 30, 20]
    assert [item for item, _ in poison] == [0, 0]
    assert all(isinstance(error, ZeroDivisionError) for _, error in poison)


def test_items_that_are_not_folded_at_once_are_folded_into_a_copy() -> None:
    state = [1]

    def extend(numbers: list[int], items: Sequence[int]) -> list[int]:
        numbers += [60 // item for item in items]
        return numbers

    assert salvage(extend, state, [2, 0, 3], list)[0] == [1, 30, 20]
    assert state == [1]


def test_an_exit_of_the_process_is_not_caught() -> None:
    def step(state: int, items: Sequence[int]) -> int:
        raise SystemExit(state + len(items))

    with pytest.raises(SystemExit):
        salvage(step, 0, [1])


def test_a_budget_allows_its_limit_and_no_more() -> None:
    budget = RestartBudget(limit=3, within_s=60)
    assert [budget.spend(now_s) for now_s in (0, 1, 2, 3)] == [True, True, True, False]


def test_a_restart_is_available_again_after_the_period() -> None:
    budget = RestartBudget(limit=2, within_s=60)
    assert [budget.spend(now_s) for now_s in (0, 10, 59.9, 60, 69.9, 70)] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]


def test_a_refused_restart_spends_nothing() -> None:
    budget = RestartBudget(limit=1, within_s=60)
    assert [budget.spend(now_s) for now_s in (0, 30, 59, 60)] == [True, False, False, True]


@pytest.mark.parametrize("now_s", [0, 1000])
def test_an_empty_budget_allows_no_restart(now_s: float) -> None:
    assert not RestartBudget(limit=0).spend(now_s)
