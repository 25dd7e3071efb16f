"""What the detector finds in a demo, whose first five minutes are past when it begins."""

from functools import cache
from itertools import accumulate, pairwise
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
from conductor_actors.simulate.programme import script_at

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
    drops = [one for one in changes(seed) if one.session_id == "panel-open-data"][:2]
    assert [(one.type, one.is_begin) for one in drops] == [
        ("SUDDEN_DROP", True),
        ("SUDDEN_DROP", False),
    ]
    assert 30 <= drops[1].at_s - drops[0].at_s <= drops[1].at_s < 180


@pytest.mark.parametrize("seed", SEEDS)
def test_within_two_minutes_there_is_an_anomaly_in_three_sessions(seed: int) -> None:
    begun = [one for one in changes(seed) if one.is_begin and one.at_s < 120]
    assert len({one.session_id for one in begun}) >= 3


@pytest.mark.parametrize("seed", SEEDS)
def test_never_for_longer_than_three_minutes_does_no_anomaly_begin(seed: int) -> None:
    times_s = [0.0, *(one.at_s for one in changes(seed) if one.is_begin), WATCHED_S]
    assert max(after - before for before, after in pairwise(times_s)) <= 180


@pytest.mark.parametrize("seed", SEEDS)
def test_most_people_leave_another_session_now_and_then(seed: int) -> None:
    exits = [one for one in changes(seed) if one.type == "MASS_EXIT" and one.is_begin]
    assert {one.session_id for one in exits} == {"town-hall-budget"}
    assert 1 <= len(exits) <= 2


def test_hardly_ever_is_there_an_anomaly_without_an_incident() -> None:
    others = [
        one
        for seed in SEEDS
        for one in changes(seed)
        if one.is_begin and not any(0 <= one.at_s - at_s < 45 for at_s in incidents(one.session_id))
    ]
    assert len(others) <= 1  # in 30 minutes of eight sessions


def incidents(session_id: str) -> list[float]:
    """Return when the sound fails or people leave, in seconds since the demo began."""
    script = next(one for one in map(script_at, range(8)) if one.session_id == session_id)
    ends_s = list(accumulate(scene.length_s for scene in script.scenes))
    incident = [scene.is_repairable or scene.present < 0.5 for scene in script.scenes]
    starts_s = [
        end_s - scene.length_s
        for end_s, scene, is_one in zip(ends_s, script.scenes, incident, strict=True)
        if is_one
    ]
    return [at_s + ends_s[-1] * cycle - PAST_S for at_s in starts_s for cycle in range(10)]
