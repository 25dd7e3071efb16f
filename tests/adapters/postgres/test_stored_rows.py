"""Rows read back from real databases, to be compared."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from uuid import UUID

import psycopg
import pytest

from conductor_actors.adapters.postgres import stored_rows
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.postgres.stored_rows import read_anomalies, read_rows
from conductor_actors.domain.comparisons.anomaly_comparison import anomaly_record
from conductor_actors.domain.scoring import ScoreRow, Signals
from conductor_actors.errors import ConfigError, Unavailable
from tests.support.score_rows import AT_MS, began, ended, record, row

ODD = Signals(0.1 + 0.2, 5e-324, 2**53 + 1, 2**62, 1.7976931348623157e308, -0.0)


@pytest.fixture(params=["shared_plain_database", "shared_timescale_database"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    url: str = request.getfixturevalue(request.param)
    yield url
    with psycopg.connect(url) as connection:
        connection.execute("TRUNCATE engagement_metrics, anomalies")


def write(url: str, rows: Sequence[ScoreRow]) -> None:
    with closing(PostgresRowStore(url)) as store:
        assert store.write(rows).stored == len(rows)


def test_rows_come_back_bit_for_bit(url: str) -> None:
    rows = [row("é\r\n😀", signals=ODD, score=1 / 3), row("b", AT_MS + 7, tenant_id="acme")]
    write(url, rows)
    found = read_rows(url, 0, AT_MS + 10_000, None)
    assert repr(list(found)) == repr(list(map(record, rows)))


@pytest.mark.parametrize("at_once", [1, 2, 5, 5000])
def test_they_come_in_the_order_of_their_ticks_however_many_at_once(
    at_once: int, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_rows, "ROWS_PER_FETCH", at_once)
    rows = [row("ab"[number % 2], AT_MS + 5000 * (number // 2)) for number in range(10)]
    write(url, rows[::-1])
    found = list(read_rows(url, AT_MS, AT_MS + 20_000, None))
    assert [each.time for each in found] == [each.at_ms for each in rows]
    assert sorted(found) == list(map(record, rows))


def test_anomalies_come_back_as_they_were_found(url: str) -> None:
    first, other = began(str(UUID(int=1))), began(str(UUID(int=2)), anomaly_score=0.1 + 0.2)
    rows = [
        row("é\r\n😀", anomalies=(first,)),
        row("b", AT_MS + 5000, tenant_id="acme", anomalies=(other,)),
        row("é\r\n😀", AT_MS + 5000, anomalies=(ended(first.id),)),
    ]
    write(url, rows)
    expected = [
        anomaly_record(rows[0], first)._replace(ended_at=AT_MS + 5000),
        anomaly_record(rows[1], other),
    ]
    assert list(read_anomalies(url, AT_MS, AT_MS + 5000, None)) == expected
    assert list(read_anomalies(url, AT_MS + 1, AT_MS + 5000, None)) == expected[1:]
    assert list(read_anomalies(url, 0, AT_MS + 5000, ["default"])) == expected[:1]


def test_both_ends_of_the_span_are_in_it_and_only_these_tenants(url: str) -> None:
    rows = [
        row("a", AT_MS + 5000 * number, tenant_id=tenant)
        for number in range(5)
        for tenant in ("acme", "default")
    ]
    write(url, rows)
    found = read_rows(url, AT_MS + 5000, AT_MS + 15_000, ["default"])
    assert list(found) == [record(each) for each in rows[3:9:2]]
    assert list(read_rows(url, AT_MS, AT_MS, [])) == []


def test_a_reader_who_has_seen_enough_may_leave(url: str) -> None:
    write(url, [row(), row(at_ms=AT_MS + 5000)])
    with closing(read_rows(url, 0, AT_MS + 5000, None)) as found:
        assert next(found) == record(row())


def test_without_tables_the_operator_is_told_to_migrate(
    postgres_url: str, fresh_database: Callable[[str], str]
) -> None:
    with pytest.raises(ConfigError, match="run: python -m conductor_actors migrate"):
        list(read_rows(fresh_database(postgres_url), 0, AT_MS, None))


def test_a_database_that_is_away_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="refused"):
        list(read_rows("postgresql://x@127.0.0.1:1/x", 0, AT_MS, None))
