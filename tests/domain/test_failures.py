import pytest

from conductor_actors.domain.failures import RestartBudget


def test_a_budget_allows_its_limit_and_no_more() -> None:
    budget = RestartBudget(limit=3, within_s=60)
    assert [budget.spend(now_s) for now_s in (0, 1, 2, 3)] == [True, True, True, False]


def test_a_restart_comes_free_once_it_is_as_old_as_the_period() -> None:
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
def test_a_budget_of_nothing_allows_nothing(now_s: float) -> None:
    assert not RestartBudget(limit=0).spend(now_s)
