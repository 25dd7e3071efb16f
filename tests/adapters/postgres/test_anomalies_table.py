"""The anomalies that begin and end with stored rows: the contract of every row store."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import permutations
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest

from conductor_actors.adapters.postgres.metrics_table import MIN_COPIED_ROWS
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.instants import from_iso, to_ms
from conductor_actors.ports import RowStore
from tests.support.fakes.memory_store import MemoryStore, StoredAnomaly
from tests.support.score_rows import ANOMALY_ID, AT_MS, began, ended, row

TICK_MS = 5000
ENDED_MS = AT_MS + 13 * TICK_MS
BEGIN = row(anomalies=(began(),))
END = row(at_ms=ENDED_MS, anomalies=(ended(),))

# Id, begin, tenant, session, event, type, severity, four figures, signals, onset, reason, end.
Stored = tuple[Any, ...]
STORED: Stored = (
    *(ANOMALY_ID, AT_MS, "default", "session", "event", "SUDDEN_DROP", "CRITICAL"),
    *(0.9, 0.6018, 0.7, -0.0982),
    {
        "chat_msgs_per_min": 12.0,
        "poll_participation": 0.4,
        "active_users": 31,
        "total_users": 50,
        "reactions_per_min": 9.0,
        "user_leave_rate": 0.02,
    },
    *(AT_MS - 9000, "2 events in 9 s, 14 were expected."),
)
OPEN: Stored = (*STORED, None)
OVER: Stored = (*STORED, ENDED_MS)


class StoreUnderTest(NamedTuple):
    store: RowStore
    anomalies: Callable[[], Sequence[Stored]]


@pytest.fixture(params=["memory", "shared_plain_database", "shared_timescale_database"])
def tested(request: pytest.FixtureRequest) -> Iterator[StoreUnderTest]:
    if request.param == "memory":
        memory = MemoryStore()
        yield StoreUnderTest(memory, lambda: [*map(_columns, memory.anomalies.values())])
        return
    url = request.getfixturevalue(request.param)
    with closing(PostgresRowStore(url)) as store, psycopg.connect(url, autocommit=True) as reader:
        reader.execute("TRUNCATE engagement_metrics, anomalies")
        yield StoreUnderTest(store, lambda: stored_anomalies(reader))


def _columns(stored: StoredAnomaly) -> Stored:
    row, begun, ended_ms = stored
    signals = {name: getattr(row.signals, name) for name in row.signals.__struct_fields__}
    return (
        *(begun.id, row.at_ms, row.tenant_id, row.session_id, row.event_id),
        *(begun.type, begun.severity, begun.anomaly_score, row.score),
        *(begun.expected_engagement, begun.deviation, signals),
        *(begun.onset_ms, begun.reason, ended_ms),
    )


def stored_anomalies(reader: psycopg.Connection) -> Sequence[Stored]:
    found = reader.execute("SELECT * FROM anomalies ORDER BY timestamp, id").fetchall()
    return [(str(id_), to_ms(at), *rest, *_metadata(last)) for id_, at, *rest, last in found]


def _metadata(metadata: dict[str, str]) -> tuple[int, str, int | None]:
    assert metadata.keys() <= {"onset", "reason", "ended_at"}
    over = metadata.get("ended_at")
    onset_ms = to_ms(from_iso(metadata["onset"]))
    return onset_ms, metadata["reason"], None if over is None else to_ms(from_iso(over))


def test_an_anomaly_is_stored_with_the_row_at_which_it_begins(tested: StoreUnderTest) -> None:
    assert tested.store.write([row("other"), BEGIN]).stored == 2
    assert tested.anomalies() == [OPEN]


def test_its_end_is_stored_with_the_row_at_which_it_ends(tested: StoreUnderTest) -> None:
    tested.store.write([BEGIN])
    assert tested.store.write([END]).stored == 1
    assert tested.anomalies() == [OVER]


@pytest.mark.parametrize("batch", [*permutations([BEGIN, END, row("other")])])
def test_begin_and_end_may_be_in_one_batch(
    tested: StoreUnderTest, batch: Sequence[ScoreRow]
) -> None:
    tested.store.write(batch)
    assert tested.anomalies() == [OVER]


@pytest.mark.parametrize(
    "batches",
    [
        [[BEGIN], [BEGIN]],
        [[BEGIN, END], [BEGIN, END]],
        [[BEGIN], [END], [BEGIN], [END]],
        [[BEGIN], [END], [END], [BEGIN]],
        [[BEGIN, BEGIN, END, END]],
    ],
    ids=str,
)
def test_an_anomaly_written_again_is_stored_once_and_stays_over(
    tested: StoreUnderTest, batches: Sequence[Sequence[ScoreRow]]
) -> None:
    for batch in batches:
        assert not tested.store.write(batch).refused
    assert tested.anomalies() == [OVER if any(END in batch for batch in batches) else OPEN]


def test_the_end_that_was_stored_first_stays(tested: StoreUnderTest) -> None:
    for at_ms in (ENDED_MS, ENDED_MS + TICK_MS):
        tested.store.write([BEGIN, row(at_ms=at_ms, anomalies=(ended(),))])
    assert tested.anomalies() == [OVER]


def test_one_anomaly_may_end_and_another_begin_at_a_tick(tested: StoreUnderTest) -> None:
    other = str(UUID(int=2))
    both = row(at_ms=ENDED_MS, anomalies=(ended(), began(other, type="MASS_EXIT")))
    tested.store.write([BEGIN])
    tested.store.write([both])
    first, second = tested.anomalies()
    assert first == OVER
    assert (second[0], second[1], second[5], second[-1]) == (other, ENDED_MS, "MASS_EXIT", None)


@pytest.mark.parametrize("others", [1, MIN_COPIED_ROWS])
def test_anomalies_are_stored_with_few_rows_and_with_many(
    tested: StoreUnderTest, others: int
) -> None:
    for changed in (BEGIN, END):
        rows = [row(f"session-{number}", changed.at_ms) for number in range(others)]
        assert tested.store.write([*rows, changed]).stored == others + 1
    assert tested.anomalies() == [OVER]


def test_a_thousand_anomalies_begin_and_end_at_once(tested: StoreUnderTest) -> None:
    ids = [str(UUID(int=number)) for number in range(1, 1001)]
    for rows in (
        [row(f"s-{one}", anomalies=(began(one),)) for one in ids],
        [row(f"s-{one}", ENDED_MS, anomalies=(ended(one),)) for one in ids],
    ):
        assert tested.store.write(rows).stored == 1000
    assert [stored[0] for stored in tested.anomalies()] == ids
    assert {stored[-1] for stored in tested.anomalies()} == {ENDED_MS}


def test_the_end_of_an_unknown_anomaly_is_ignored(tested: StoreUnderTest) -> None:
    assert tested.store.write([END]).stored == 1
    assert tested.anomalies() == []


def test_other_metadata_stay_when_an_anomaly_ends(shared_plain_database: str) -> None:
    with (
        closing(PostgresRowStore(shared_plain_database)) as store,
        psycopg.connect(shared_plain_database, autocommit=True) as other,
    ):
        other.execute("TRUNCATE engagement_metrics, anomalies")
        store.write([BEGIN])
        other.execute("UPDATE anomalies SET metadata = metadata || '{\"feedback\": 1}'")
        store.write([END])
        assert other.execute(
            "SELECT metadata->>'feedback', metadata->>'ended_at' FROM anomalies"
        ).fetchall() == [("1", "2026-01-04T12:01:05.000Z")]


@pytest.mark.parametrize(
    "bad", [began("no uuid"), began(reason="nul\0"), began(reason="surrogate\ud800")]
)
def test_a_row_whose_anomaly_is_refused_stops_no_other(
    shared_plain_database: str, bad: Any
) -> None:
    rows = [row("a"), row("bad", anomalies=(bad,)), BEGIN, row("b")]
    with (
        closing(PostgresRowStore(shared_plain_database)) as store,
        psycopg.connect(shared_plain_database, autocommit=True) as reader,
    ):
        reader.execute("TRUNCATE engagement_metrics, anomalies")
        written = store.write(rows)
        assert written.stored == 3
        assert [refused.session_id for refused, _ in written.refused] == ["bad"]
        assert stored_anomalies(reader) == [OPEN]
