"""The contract of every row store, fake or real."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import psycopg
import pytest
from msgspec.structs import astuple, replace
from psycopg import sql

from conductor_actors.adapters.postgres.metrics_table import MIN_COPIED_ROWS
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.domain.anomalies.changes import ExpectedScore
from conductor_actors.domain.gaps import GapMark
from conductor_actors.domain.rows import VALUE_TYPES
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import RowStore
from conductor_actors.wire.updates import timestamp
from tests.support.fakes.memory_store import MemoryStore
from tests.support.score_rows import AT_MS, SIGNALS, row

_READ = sql.SQL(
    "SELECT (extract(epoch FROM time) * 1000)::bigint, {}, metadata FROM engagement_metrics"
).format(sql.SQL(", ").join(map(sql.Identifier, VALUE_TYPES)))

_FIELDS = ScoreRow.__struct_fields__


class StoreUnderTest(NamedTuple):
    store: RowStore
    rows: Callable[[], Sequence[tuple[Any, ...]]]


@pytest.fixture(params=["memory", "shared_plain_database", "shared_timescale_database"])
def tested(request: pytest.FixtureRequest) -> Iterator[StoreUnderTest]:
    if request.param == "memory":
        memory = MemoryStore()
        yield StoreUnderTest(memory, lambda: [_stored_part(row) for row in memory.rows.values()])
        return
    url = request.getfixturevalue(request.param)
    with closing(PostgresRowStore(url)) as store, psycopg.connect(url, autocommit=True) as reader:
        reader.execute("TRUNCATE engagement_metrics")
        yield StoreUnderTest(store, lambda: reader.execute(_READ).fetchall())


def _stored_part(row: ScoreRow) -> tuple[Any, ...]:
    columns = astuple(row)[: _FIELDS.index("signals")]
    metadata: dict[str, object] = {}
    if row.gap:
        metadata["gap"] = {"reason": row.gap.reason, "lost_events": row.gap.lost_events}
    if not row.is_audience_known:
        metadata["audience"] = "unknown"
    if row.expected:
        metadata["expected"] = [row.expected.low, row.expected.high]
    if not row.is_chat_open:
        metadata["chat_open"] = False
    if row.quiet_until_ms:
        metadata["quiet_until"] = timestamp(row.quiet_until_ms)
    return (*columns, *astuple(row.signals), metadata)


def _stored(tested: StoreUnderTest, rows: Sequence[ScoreRow]) -> int:
    written = tested.store.write(rows)
    assert not written.refused
    return written.stored


def _assert_stored(tested: StoreUnderTest, rows: Sequence[ScoreRow]) -> None:
    # repr, because it tells 0.0 from -0.0, and NaN is like NaN.
    assert sorted(map(repr, tested.rows())) == sorted(repr(_stored_part(row)) for row in rows)


def test_rows_are_kept_as_they_were_written(tested: StoreUnderTest) -> None:
    rows = [row("a"), row("b", score=0.1, category="VERY_LOW"), row("a", AT_MS + 5000)]
    assert _stored(tested, rows) == 3
    _assert_stored(tested, rows)


@pytest.mark.parametrize("others", [0, MIN_COPIED_ROWS])
def test_a_row_says_what_it_misses(tested: StoreUnderTest, others: int) -> None:
    rows = [row("a", gap=GapMark("trimmed", 7)), row("b"), row("c", gap=GapMark("restarted", None))]
    rows += [row("d", is_audience_known=False), *(row(f"other-{n}") for n in range(others))]
    assert _stored(tested, rows) == 4 + others
    _assert_stored(tested, rows)


def test_rows_of_an_unknown_audience_are_marked(tested: StoreUnderTest) -> None:
    rows = [row("a", is_audience_known=False), row("b")]
    assert _stored(tested, rows) == 2
    _assert_stored(tested, rows)


@pytest.mark.parametrize("others", [0, 200])
def test_a_row_has_the_range_of_scores_that_was_expected(
    tested: StoreUnderTest, others: int
) -> None:
    expected = ExpectedScore(0.1 + 0.2, 1.0)
    rows = [row(f"s{n}", expected=ExpectedScore(n / 400, 0.5)) for n in range(others)]
    rows += [
        row("a", expected=expected),
        row("b", expected=expected, gap=GapMark("trimmed", 7)),
        row("c", expected=expected, is_audience_known=False),
        row("d"),
    ]
    assert _stored(tested, rows) == len(rows)
    _assert_stored(tested, rows)


@pytest.mark.parametrize("others", [0, 200])
def test_rows_of_a_quiet_session_say_what_was_arranged(tested: StoreUnderTest, others: int) -> None:
    rows = [row("a", quiet_until_ms=AT_MS + 60_000), row("b", is_chat_open=False)]
    rows += [row("c", quiet_until_ms=AT_MS + 1, is_chat_open=False, is_audience_known=False)]
    rows += [row(f"other-{n}") for n in range(others)]
    assert _stored(tested, rows) == 3 + others
    _assert_stored(tested, rows)


def test_nothing_is_written_for_no_rows(tested: StoreUnderTest) -> None:
    assert _stored(tested, []) == 0


def test_a_row_written_twice_is_stored_once(tested: StoreUnderTest) -> None:
    assert _stored(tested, [row()]) == 1
    assert _stored(tested, [row()]) == 0
    _assert_stored(tested, [row()])


def test_a_row_that_is_twice_in_one_batch_is_stored_once(tested: StoreUnderTest) -> None:
    assert _stored(tested, [row(), row()]) == 1
    _assert_stored(tested, [row()])


def test_only_the_rows_that_are_new_are_counted(tested: StoreUnderTest) -> None:
    tested.store.write([row("a"), row("b")])
    assert _stored(tested, [row("b"), row("c"), row("a")]) == 1


def test_the_row_that_was_there_first_stays(tested: StoreUnderTest) -> None:
    tested.store.write([row(score=0.5)])
    tested.store.write([row(score=0.7)])
    _assert_stored(tested, [row(score=0.5)])


def test_tenant_session_and_tick_make_a_row_of_its_own(tested: StoreUnderTest) -> None:
    rows = [row(), row(tenant_id="acme"), row("other"), row(at_ms=AT_MS + 1)]
    assert _stored(tested, rows) == 4
    _assert_stored(tested, rows)


def test_the_order_of_writing_does_not_matter(tested: StoreUnderTest) -> None:
    rows = [row(f"s{n % 3}", AT_MS + 5000 * n) for n in range(30)]
    for start in (20, 0, 10):
        tested.store.write(rows[start : start + 15][::-1])
    _assert_stored(tested, rows)


@pytest.mark.parametrize(
    "unusual",
    ["x" * 255, "😀" * 255, "o'clock; DROP TABLE x--", '"\\\t\r\n\x01', " ", "\\N", "é", "e\u0301"],
)
def test_ids_are_opaque(tested: StoreUnderTest, unusual: str) -> None:
    rows = [row(unusual, tenant_id="t", event_id=unusual), row("plain")]
    assert _stored(tested, rows) == 2
    _assert_stored(tested, rows)


def test_numbers_are_kept_bit_for_bit(tested: StoreUnderTest) -> None:
    numbers = [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, float("nan"), float("inf")]
    rows = [
        row(f"s{n}", score=number, signals=replace(SIGNALS, user_leave_rate=number))
        for n, number in enumerate(numbers)
    ]
    tested.store.write(rows)
    _assert_stored(tested, rows)


@pytest.mark.parametrize("at_ms", [0, 1, AT_MS + 1, 951_782_400_001, 253_402_300_799_999])
def test_times_are_kept_to_the_millisecond(tested: StoreUnderTest, at_ms: int) -> None:
    tested.store.write([row(at_ms=at_ms)])
    _assert_stored(tested, [row(at_ms=at_ms)])


def test_ten_thousand_rows_are_one_batch(tested: StoreUnderTest) -> None:
    rows = [row(f"session-{n}") for n in range(10_000)]
    assert _stored(tested, rows) == 10_000
    _assert_stored(tested, rows)


def test_a_refused_row_stops_no_other(tested: StoreUnderTest) -> None:
    good = [row(f"session-{n}") for n in range(100)]
    bad = [
        row("nul\0"),
        row("surrogate\ud800"),
        row("crowd", signals=replace(SIGNALS, total_users=2**70)),
    ]
    written = tested.store.write([bad[0], *good[:50], bad[1], *good[50:], bad[2]])
    assert written.stored == 100
    assert [refused for refused, _ in written.refused] == bad
    assert all(reason and "\n" not in reason for _, reason in written.refused)
    _assert_stored(tested, good)


def test_a_batch_of_refused_rows_alone_stores_nothing(tested: StoreUnderTest) -> None:
    assert tested.store.write([row("\0"), row("a\0b")]).stored == 0
    assert tested.store.write([row()]).stored == 1
