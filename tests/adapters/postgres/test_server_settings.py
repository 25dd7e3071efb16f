"""Whatever a database, a role or the URL sets, text, times and numbers come back as written."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conductor_actors.adapters.postgres.history_reader import PostgresHistoryReader
from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.postgres.stored_rows import read_rows
from conductor_actors.domain.scoring import ScoreRow, Signals
from tests.support.pgbouncer import pgbouncer
from tests.support.score_rows import AT_MS, record, row

pytestmark = pytest.mark.anyio

UNUSUAL = {
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Europe/Berlin",
    "extra_float_digits": "-15",
    "client_encoding": "LATIN1",
}
ODD = Signals(0.1 + 0.2, 5e-324, 2**53 + 1, 2**62, 1.7976931348623157e308, -0.0)


def with_settings(url: str, settings: dict[str, str]) -> str:
    name = sql.Identifier(str(conninfo_to_dict(url)["dbname"]))
    with psycopg.connect(url, autocommit=True) as owner:
        for setting, value in settings.items():
            change = sql.SQL("ALTER DATABASE {} SET {} = {}")
            owner.execute(change.format(name, sql.Identifier(setting), sql.Literal(value)))
    return url


@pytest.fixture
def encoded_database(postgres_url: str) -> Iterator[Callable[[str], str]]:
    """Create a database with this encoding: `encoded_database("LATIN1")` returns its URL."""
    names: list[str] = []

    def create(encoding: str) -> str:
        names.append(f"encoded_{encoding.lower()}")
        server.execute(
            f"CREATE DATABASE {names[-1]} ENCODING '{encoding}' TEMPLATE template0"
            " LOCALE_PROVIDER libc LOCALE 'C'".encode()
        )
        return make_conninfo(postgres_url, dbname=names[-1])

    with psycopg.connect(postgres_url, autocommit=True) as server:
        yield create
        for name in names:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


async def assert_comes_back(url: str, rows: list[ScoreRow]) -> None:
    """Write the rows, which are of one session, and read them in every way."""
    with closing(PostgresRowStore(url)) as store:
        assert store.write(rows).stored == len(rows)
        assert store.write(rows).stored == 0
    assert repr(list(read_rows(url, 0, AT_MS * 2, None))) == repr(list(map(record, rows)))
    reader = PostgresHistoryReader(url)
    await reader.open()
    try:
        found = await reader.rows(rows[0].key, AT_MS, AT_MS + 60_000)
        newest = await reader.newest(rows[0].key)
        for minutes in (1, 1440):
            step = timedelta(minutes=minutes)
            (binned,) = await reader.steps(rows[0].key, AT_MS, AT_MS + 60_000, step)
            assert binned.ticks == len(rows)
    finally:
        await reader.close()
    assert [repr(each) for each in found] == [
        repr(type(each)(r.at_ms, r.event_id, r.score, r.category, r.signals))
        for each, r in zip(found, rows, strict=True)
    ]
    assert newest == found[-1]


ROWS = [row("é😀", AT_MS + 5000 * n, event_id="日本", signals=ODD, score=1 / 3) for n in range(3)]


@pytest.mark.parametrize("setting", UNUSUAL)
async def test_a_setting_of_the_database_changes_nothing(plain_database: str, setting: str) -> None:
    migrate(plain_database)
    url = with_settings(plain_database, {setting: UNUSUAL[setting]})
    await assert_comes_back(url, ROWS)


async def test_settings_of_the_database_change_nothing_behind_pgbouncer(
    plain_database: str,
) -> None:
    with pgbouncer(with_settings(plain_database, UNUSUAL)) as url:
        migrate(url)
        await assert_comes_back(url, ROWS)


async def test_an_encoding_in_the_url_changes_nothing(plain_database: str) -> None:
    url = make_conninfo(plain_database, client_encoding="LATIN1")
    migrate(url)
    await assert_comes_back(url, ROWS)


async def test_an_encoding_in_the_environment_changes_nothing(
    plain_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    monkeypatch.setenv("PGDATESTYLE", "German")
    migrate(plain_database)
    await assert_comes_back(plain_database, ROWS)


async def test_a_database_of_encoding_sql_ascii_keeps_all_text(
    encoded_database: Callable[[str], str],
) -> None:
    url = encoded_database("SQL_ASCII")
    migrate(url)
    await assert_comes_back(url, ROWS)
    assert all(finding.ok for finding in PostgresRowStore(url).check())


def test_a_database_that_can_t_hold_all_text_refuses_only_such_rows_and_is_named(
    encoded_database: Callable[[str], str],
) -> None:
    url = encoded_database("LATIN1")
    migrate(url)
    rows = [row("é"), row("😀"), row("a")]
    with closing(PostgresRowStore(url)) as store:
        written = store.write(rows)
        assert (written.stored, [refused for refused, _ in written.refused]) == (2, [rows[1]])
        assert all(finding.ok for finding in store.check_access())
        finding = store.check()[-1]
    assert not finding.ok
    assert "LATIN1 can't hold all text" in finding.line
    assert "ENCODING 'UTF8'" in finding.line
