"""What the detector finds in a demo, whose first five minutes are past when it begins."""

from functools import cache
from typing import NamedTuple

import pytest

from conductor_actors.domain.anomalies.changes import AnomalyBegan
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.simulate import Simulation
from conductor_actors.simulate.feed import STEP_S
from conductor_actors.simulate.past import PAST_S

SEEDS = range(3)
BEGUN_AT_S = 1_767_528_000.0
WATCHED_S = 600.0


class Change(NamedTuple):
    """A begin or an end, in seconds since the demo began."""

    at_s: float
    session_id: str
    type: str
    is_begin: bool


@cache
def changes(seed: int) -> list[Change]:
    """Return what begins and ends in the first ten minutes of a demo."""
    simulation = Simulation(sessions=8, seed=seed)
    entries: list[Entry] = []
    for step in range(int((PAST_S + WATCHED_S) / STEP_S)):
        at_s = BEGUN_AT_S - PAST_S + step * STEP_S
        sent = simulation.step(at_s, STEP_S)
        entries += [(int(at_s * 1000), order, *one) for order, one in enumerate(sent)]
    rows: list[ScoreRow] = []
    Replayer(Rules(IntakeRules(), SessionRules(), Scoring()), rows.extend).run(entries)
    found = [
        Change(
            *(row.at_ms / 1000 - BEGUN_AT_S, row.session_id),
            *(change.type, isinstance(change, AnomalyBegan)),
        )
        for row in rows
        for change in row.anomalies
    ]
    return [change for change in found if change.at_s > 0]


@pytest.mark.parametrize("seed", SEEDS)
def test_within_three_minutes_a_sudden_drop_begins_and_ends(seed: int) -> None:
    drops = [one for one in changes(seed) if one.type == "SUDDEN_DROP" and one.at_s < 180]
    assert [(one.session_id, one.is_begin) for one in drops] == [
        ("panel-open-data", True),
        ("panel-open-data", False),
    ]
    assert drops[1].at_s - drops[0].at_s >= 30


@pytest.mark.parametrize("seed", SEEDS)
def test_most_people_leave_another_session_now_and_then(seed: int) -> None:
    exits = [one for one in changes(seed) if one.type == "MASS_EXIT" and one.is_begin]
    assert {one.session_id for one in exits} == {"town-hall-budget"}
    assert 1 <= len(exits) <= 2


def test_hardly_ever_does_another_session_have_an_anomaly() -> None:
    others = [
        one
        for seed in SEEDS
        for one in changes(seed)
        if one.is_begin and one.session_id not in {"panel-open-data", "town-hall-budget"}
    ]
    assert len(others) <= 1  # in 30 minutes of six sessions
