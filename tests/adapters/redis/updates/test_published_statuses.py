import pytest

from conductor_actors.adapters.redis.updates import published_statuses
from conductor_actors.adapters.redis.updates.published_statuses import PublishedStatuses
from conductor_actors.domain.conductor.interventions import AgentState
from conductor_actors.domain.scoring import ScoreRow
from tests.support.interventions import intervention
from tests.support.score_rows import row

DEFAULT = AgentState("SEMI_AUTO", "MONITORING")
WAITING = AgentState("SEMI_AUTO", "WAITING_APPROVAL", "1")


@pytest.fixture
def statuses() -> PublishedStatuses:
    return PublishedStatuses("SEMI_AUTO")


def published(statuses: PublishedStatuses, *rows: ScoreRow) -> list[AgentState]:
    changes = [*statuses.changes(rows)]
    statuses.record(changes)
    return [state for _, state in changes]


def test_a_session_that_only_watches_has_no_status_to_publish(statuses: PublishedStatuses) -> None:
    assert published(statuses, row("a"), row("b")) == []


def test_each_status_is_published_once(statuses: PublishedStatuses) -> None:
    waiting = row("a", agent=WAITING)
    assert published(statuses, waiting, waiting) == [WAITING]
    assert published(statuses, waiting) == []
    assert published(statuses, row("a")) == [DEFAULT]
    assert published(statuses, row("a")) == []


def test_statuses_of_several_ticks_are_published_in_order(statuses: PublishedStatuses) -> None:
    learning = AgentState("SEMI_AUTO", "LEARNING")
    rows = [row("a", agent=WAITING), row("a", agent=learning), row("a"), row("b", agent=WAITING)]
    assert published(statuses, *rows) == [WAITING, learning, DEFAULT, WAITING]


def test_a_changed_intervention_publishes_the_status_again(statuses: PublishedStatuses) -> None:
    changed = row("a", agent=WAITING, interventions=(intervention(),))
    assert published(statuses, changed) == published(statuses, changed) == [WAITING]
    assert published(statuses, row("b", interventions=(intervention(),))) == [DEFAULT]


def test_a_status_that_was_not_published_is_a_change_again(statuses: PublishedStatuses) -> None:
    waiting = row("a", agent=WAITING)
    assert [state for _, state in statuses.changes([waiting])] == [WAITING]
    assert published(statuses, waiting) == [WAITING]


def test_sessions_of_two_tenants_are_told_apart(statuses: PublishedStatuses) -> None:
    assert published(statuses, row("a", agent=WAITING), row("a", tenant_id="acme")) == [WAITING]


def test_a_mode_that_is_off_by_default_is_idle() -> None:
    statuses = PublishedStatuses("OFF")
    assert published(statuses, row("a", agent=WAITING), row("a")) == [
        WAITING,
        AgentState("OFF", "IDLE"),
    ]


def test_the_oldest_are_forgotten_beyond_the_limit(
    statuses: PublishedStatuses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published_statuses, "MAX_STATUSES", 2)
    published(statuses, *(row(name, agent=WAITING) for name in "abc"))
    assert published(statuses, row("a"), row("b"), row("c")) == [DEFAULT, DEFAULT]


def test_a_session_that_is_back_at_the_default_takes_no_memory(
    statuses: PublishedStatuses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published_statuses, "MAX_STATUSES", 2)
    published(statuses, row("a", agent=WAITING), row("b", agent=WAITING))
    published(statuses, row("b"), row("c", agent=WAITING))
    assert published(statuses, row("a"), row("c")) == [DEFAULT, DEFAULT]
