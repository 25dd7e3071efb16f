"""A demo that is started again continues with the same sessions, as if it had not been away."""

import time
from typing import cast

import fakeredis
import pytest

from conductor_actors.domain.anomalies.changes import AnomalyBegan
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.events import DECODERS
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.simulate import Simulation, add_past
from conductor_actors.simulate.programme import script_at

PEOPLE = {script.session_id: script.people for script in map(script_at, range(8))}


def entries_of(client: fakeredis.FakeRedis) -> list[Entry]:
    found: list[Entry] = []
    for name in DECODERS:
        entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(name))
        for entry_id, fields in entries:
            ms, order = map(int, entry_id.split(b"-"))
            found.append((ms, order, name, fields[b"data"]))
    return sorted(found)


def rows_after(pause_s: float) -> tuple[float, list[ScoreRow]]:
    """Return when the first demo ended, and the rows until a second one begins after a pause."""
    client = fakeredis.FakeRedis()
    add_past(client, Simulation(sessions=8, seed=1))
    ended_s = time.time() - pause_s
    entries = [
        (ms - int(pause_s * 1000), order, name, body)
        for ms, order, name, body in entries_of(client)
    ]
    again = fakeredis.FakeRedis()
    for ms, order, name, body in entries:
        again.xadd(name, {"data": body}, id=f"{ms}-{order}")
    assert not add_past(again, Simulation(sessions=8, seed=2))
    rows: list[ScoreRow] = []
    rules = Rules(IntakeRules(), SessionRules(), Scoring())
    added = entries_of(again)
    assert Replayer(rules, rows.extend).run(added).failed == 0
    return ended_s, [row for row in rows if row.at_ms <= added[-1][0]]


@pytest.mark.parametrize("pause_s", [20, 900])
def test_after_a_pause_the_same_people_are_there_and_no_session_has_an_anomaly(
    pause_s: float,
) -> None:
    ended_s, rows = rows_after(pause_s)
    later = [row for row in rows if row.at_ms / 1000 > ended_s]
    begun = [one for row in later for one in row.anomalies if isinstance(one, AnomalyBegan)]
    assert [one.type for one in begun if one.type != "MASS_EXIT"] == []
    assert all(row.signals.total_users <= PEOPLE[row.session_id] for row in later)
    last = later[-8:]
    assert {row.session_id for row in last} == PEOPLE.keys()
    assert all(row.signals.total_users > 0.8 * PEOPLE[row.session_id] for row in last)
