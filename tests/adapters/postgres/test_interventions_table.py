"""The interventions of stored rows, and their outcomes: the contract of every row store."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import permutations
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
import pytest

from conductor_actors.adapters.postgres.metrics_table import MIN_COPIED_ROWS
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.domain.conductor.interventions import Intervention, InterventionStatus
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.instants import to_ms
from conductor_actors.ports import RowStore
from conductor_actors.wire.intervention_bodies import decision_body
from tests.support.fakes.memory_store import MemoryStore
from tests.support.interventions import (
    CENSORED,
    INTERVENTION_ID,
    MEASURED,
    MEASURED_MS,
    MESSAGE,
    intervention,
)
from tests.support.score_rows import ANOMALY_ID, AT_MS, row

TICK_MS = 5000


def version(status: InterventionStatus, ticks: int = 0, **changes: Any) -> ScoreRow:
    """Return a row with the intervention in a status at a tick after its decision."""
    record = intervention(status=status, steps={status: AT_MS + ticks * TICK_MS}, **changes)
    return row(at_ms=AT_MS + ticks * TICK_MS, interventions=(record,))


SUGGESTED = version("SUGGESTED")
APPROVED = version("APPROVED", 1)
SENT = version("SENT", 2)
EXECUTED = version("EXECUTED", 3)
COMPLETED = version("COMPLETED", 24, outcome=MEASURED)
PATH = [SUGGESTED, APPROVED, SENT, EXECUTED, COMPLETED]

# What is stored of an intervention: its status and its outcome.
Stored = dict[str, Any]


class StoreUnderTest(NamedTuple):
    store: RowStore
    interventions: Callable[[], Sequence[Stored]]
    trials: Callable[[], Sequence[str]]


@pytest.fixture(params=["memory", "shared_plain_database", "shared_timescale_database"])
def tested(request: pytest.FixtureRequest) -> Iterator[StoreUnderTest]:
    if request.param == "memory":
        memory = MemoryStore()
        yield StoreUnderTest(
            memory,
            lambda: [_body(*each) for _, each in sorted(memory.interventions.items())],
            lambda: [*memory.trials],
        )
        return
    url = request.getfixturevalue(request.param)
    with closing(PostgresRowStore(url)) as store, psycopg.connect(url, autocommit=True) as reader:
        reader.execute("TRUNCATE engagement_metrics, anomalies, interventions, agent_performance")
        yield StoreUnderTest(store, lambda: stored(reader), lambda: stored_trials(reader))


def _body(row: ScoreRow, record: Intervention) -> Stored:
    body: Stored = json.loads(msgspec.json.encode(decision_body(row.session_id, record)))
    return body | {"tenant": row.tenant_id, "timestamp": record.at_ms}


def stored(reader: psycopg.Connection) -> Sequence[Stored]:
    found = reader.execute(
        "SELECT id::text, timestamp, tenant_id AS tenant, session_id, event_id, type, status,"
        " confidence, reasoning, outcome, metadata FROM interventions ORDER BY id, timestamp"
    )
    assert found.description is not None
    names = [column.name for column in found.description]
    records = [dict(zip(names, record, strict=True)) for record in found]
    return [record | {"timestamp": to_ms(record["timestamp"])} for record in records]


def stored_trials(reader: psycopg.Connection) -> Sequence[str]:
    found = reader.execute("SELECT id::text FROM agent_performance ORDER BY time, id").fetchall()
    return [id_ for (id_,) in found]


def body_of(changed: ScoreRow) -> Stored:
    return _body(changed, changed.interventions[0])


def test_an_intervention_is_stored_with_the_row_of_its_tick(tested: StoreUnderTest) -> None:
    assert tested.store.write([row("other"), SUGGESTED]).stored == 2
    assert tested.interventions() == [body_of(SUGGESTED)]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_it_moves_forward_with_each_change(tested: StoreUnderTest, size: int) -> None:
    for first in range(0, len(PATH), size):
        assert not tested.store.write(PATH[first : first + size]).refused
    assert tested.interventions() == [body_of(COMPLETED)]
    assert tested.trials() == [INTERVENTION_ID]


@pytest.mark.parametrize("batch", [*permutations([SUGGESTED, SENT, COMPLETED])])
def test_what_is_written_later_or_again_changes_nothing_if_it_is_older(
    tested: StoreUnderTest, batch: Sequence[ScoreRow]
) -> None:
    for each in (*batch, *batch):
        tested.store.write([each])
    assert tested.interventions() == [body_of(COMPLETED)]
    tested.store.write(batch)
    assert tested.interventions() == [body_of(COMPLETED)]
    assert tested.trials() == [INTERVENTION_ID]


@pytest.mark.parametrize("batch", [*permutations([SUGGESTED, SENT, COMPLETED])])
def test_of_a_batch_the_newest_version_is_stored(
    tested: StoreUnderTest, batch: Sequence[ScoreRow]
) -> None:
    assert tested.store.write(batch).stored == 3
    assert tested.interventions() == [body_of(COMPLETED)]


def test_an_outcome_is_added_and_stays_when_the_suggestion_without_it_is_written_later(
    tested: StoreUnderTest,
) -> None:
    with_outcome = version("SUGGESTED", 24, outcome=MEASURED)
    for each in (SUGGESTED, with_outcome, SUGGESTED):
        tested.store.write([each])
    assert tested.interventions() == [body_of(with_outcome)]
    dismissed = version("DISMISSED", 30, outcome=MEASURED, note="not now")
    tested.store.write([dismissed])
    assert tested.interventions() == [body_of(dismissed)]


def test_why_it_has_expired_is_forgotten_when_it_was_sent_all_the_same(
    tested: StoreUnderTest,
) -> None:
    for changed in (APPROVED, version("EXPIRED", 2, note="the mode is OFF"), version("SENT", 3)):
        tested.store.write([changed])
    assert tested.interventions() == [body_of(version("SENT", 3))]


@pytest.mark.parametrize("others", [1, MIN_COPIED_ROWS])
def test_interventions_are_stored_with_few_rows_and_with_many(
    tested: StoreUnderTest, others: int
) -> None:
    for changed in (SUGGESTED, COMPLETED):
        rows = [row(f"session-{number}", changed.at_ms) for number in range(others)]
        assert tested.store.write([*rows, changed]).stored == others + 1
    assert tested.interventions() == [body_of(COMPLETED)]


def test_a_thousand_sessions_may_have_one_at_a_tick(tested: StoreUnderTest) -> None:
    rows = [
        row(f"s-{number:04}", interventions=(intervention(number, outcome=MEASURED),))
        for number in range(1, 1001)
    ]
    assert tested.store.write(rows).stored == 1000
    assert [each["session_id"] for each in tested.interventions()] == [
        each.session_id for each in rows
    ]
    assert len(tested.trials()) == 1000


@pytest.mark.parametrize(
    "record",
    [
        intervention(status="COMPLETED", outcome=CENSORED),
        intervention(status="EXECUTED"),
        intervention(status="COMPLETED", outcome=MEASURED, choice=None, origin="manual"),
    ],
    ids=["censored", "no outcome", "no trial"],
)
def test_only_a_measured_trial_is_one(tested: StoreUnderTest, record: Intervention) -> None:
    tested.store.write([row(interventions=(record,))])
    assert len(tested.interventions()) == 1
    assert [*tested.trials()] == []


def test_doing_nothing_is_a_trial_too(tested: StoreUnderTest) -> None:
    held = intervention(type="HOLD", origin="hold", status="HELD", content=None, outcome=MEASURED)
    tested.store.write([row(interventions=(held,))])
    assert tested.trials() == [INTERVENTION_ID]


@pytest.mark.parametrize("other", [row("other"), row(tenant_id="acme")], ids=["session", "tenant"])
@pytest.mark.parametrize("together", [True, False])
def test_another_session_can_not_change_it_by_its_id(
    tested: StoreUnderTest, other: ScoreRow, *, together: bool
) -> None:
    forged = msgspec.structs.replace(other, interventions=COMPLETED.interventions)
    for batch in [[SUGGESTED, forged]] if together else [[SUGGESTED], [forged]]:
        assert not tested.store.write(batch).refused
    assert tested.interventions() == [body_of(SUGGESTED)]


def test_nul_is_left_out_of_what_people_wrote(tested: StoreUnderTest) -> None:
    """And a backslash before `u0000` is text."""
    if isinstance(tested.store, MemoryStore):
        return  # memory stores any text
    written = version(
        "FAILED", reasoning="be\0cause", note="x\0y", content={"message": "\\u0000 \0", "l": ["\0"]}
    )
    assert not tested.store.write([written]).refused
    [record] = tested.interventions()
    assert record["reasoning"] == "because"
    assert record["metadata"]["note"] == "xy"
    assert record["metadata"]["content"] == {"message": "\\u0000 ", "l": [""]}


def test_a_trial_is_stored_with_all_that_effects_need(shared_plain_database: str) -> None:
    with (
        closing(PostgresRowStore(shared_plain_database)) as store,
        psycopg.connect(shared_plain_database, autocommit=True) as reader,
    ):
        reader.execute("TRUNCATE engagement_metrics, interventions, agent_performance")
        store.write([COMPLETED])
        [record] = reader.execute("SELECT * FROM agent_performance").fetchall()
    assert (str(record[0]), to_ms(record[1]), *record[2:]) == (
        INTERVENTION_ID,
        MEASURED_MS,
        "default",
        "engagement-conductor",
        "BROADCAST",
        True,
        0.25,
        0.8,
        "session",
        {
            "event_id": "event",
            "origin": "act",
            "anomaly_type": "SUDDEN_DROP",
            "probability": 600_000,
            "probabilities": {"HOLD": 100_000, "POLL": 300_000, "BROADCAST": 600_000},
            "before": 0.25,
            "after": 0.5,
            "reward": 0.125,
            "policy_version": 3,
        },
    )


def test_metadata_explain_the_decision(tested: StoreUnderTest) -> None:
    tested.store.write([COMPLETED])
    [record] = tested.interventions()
    assert record["outcome"] == {
        "success": True,
        "reward": 0.125,
        "engagement_before": 0.25,
        "engagement_after": 0.5,
        "engagement_delta": 0.25,
        "pre_engagement": 0.25,
        "post_engagement": 0.5,
        "measured_at": "2026-01-04T12:02:00.000Z",
    }
    assert record["metadata"] == {
        "event_id": "event",
        "origin": "act",
        "engagement_before": 0.25,
        "estimated_impact": 0.0,
        "steps": {"COMPLETED": "2026-01-04T12:02:00.000Z"},
        "anomaly_id": ANOMALY_ID,
        "anomaly_type": "SUDDEN_DROP",
        "policy_version": 3,
        "probabilities": {"HOLD": 100_000, "POLL": 300_000, "BROADCAST": 600_000},
        "draw": 0.75,
        "content": {"message": MESSAGE},
        "send_by": "2026-01-04T12:00:15.000Z",
    }


@pytest.mark.parametrize(
    "bad",
    [
        intervention(reasoning="surrogate\ud800"),
        msgspec.structs.replace(intervention(), id="no uuid"),
    ],
    ids=["surrogate", "id"],
)
def test_a_row_whose_intervention_is_refused_stops_no_other(
    shared_plain_database: str, bad: Intervention
) -> None:
    good = row(interventions=(intervention(int(UUID(INTERVENTION_ID)) + 1),))
    rows = [row("a"), row("bad", interventions=(bad,)), good, row("b")]
    with (
        closing(PostgresRowStore(shared_plain_database)) as store,
        psycopg.connect(shared_plain_database, autocommit=True) as reader,
    ):
        reader.execute("TRUNCATE engagement_metrics, interventions, agent_performance")
        written = store.write(rows)
        assert written.stored == 3
        assert [refused.session_id for refused, _ in written.refused] == ["bad"]
        assert stored(reader) == [body_of(good)]
