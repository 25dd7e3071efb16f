"""What events say that sessions and events are called, as stored: the newest holds."""

from collections.abc import Iterator
from contextlib import closing
from itertools import permutations
from typing import Any, Final

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.postgres.titles_table import PostgresTitleTable
from conductor_actors.domain.session_titles import SessionDetails, TitleChange
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.instants import to_datetime
from tests.support.score_rows import AT_MS, row

KEYNOTE: Final = SessionDetails(
    "Opening keynote", ("Ada Lovelace", "Грейс"), AT_MS, AT_MS + 3_600_000, "summit", "Summit ❄"
)


def change(
    details: SessionDetails,
    at_ms: int = AT_MS,
    session_id: str = "keynote",
    of: str = "default",
) -> TitleChange:
    return TitleChange(of, session_id, at_ms, details)


@pytest.fixture
def url(shared_plain_database: str) -> str:
    return shared_plain_database


@pytest.fixture
def reader(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as reader:
        reader.execute("TRUNCATE engagement_metrics, sessions, session_titles, event_titles")
        yield reader


@pytest.fixture
def table(url: str, reader: psycopg.Connection) -> Iterator[PostgresTitleTable]:
    del reader
    with closing(PostgresTitleTable(url)) as table:
        yield table


def session_titles(reader: psycopg.Connection) -> list[tuple[Any, ...]]:
    return reader.execute(
        "SELECT tenant_id, session_id, event_id, title, speakers, planned_begin, planned_end"
        " FROM session_titles ORDER BY tenant_id, session_id"
    ).fetchall()


def titles(reader: psycopg.Connection) -> list[str | None]:
    return [title for _, _, _, title, *_ in session_titles(reader)]


def event_titles(reader: psycopg.Connection) -> list[tuple[Any, ...]]:
    return reader.execute(
        "SELECT tenant_id, event_id, title FROM event_titles ORDER BY tenant_id, event_id"
    ).fetchall()


def test_details_are_stored_whole(table: PostgresTitleTable, reader: psycopg.Connection) -> None:
    assert table.write([change(KEYNOTE)]) == []
    begin, end = to_datetime(AT_MS), to_datetime(AT_MS + 3_600_000)
    speakers = ["Ada Lovelace", "Грейс"]
    assert session_titles(reader) == [
        ("default", "keynote", "summit", "Opening keynote", speakers, begin, end)
    ]
    assert event_titles(reader) == [("default", "summit", "Summit ❄")]


@pytest.mark.parametrize("order", [*permutations(range(3))])
@pytest.mark.parametrize("batched", [True, False])
def test_the_newest_change_holds_in_whatever_order_they_are_written(
    table: PostgresTitleTable, reader: psycopg.Connection, order: tuple[int, ...], *, batched: bool
) -> None:
    changes = [
        change(SessionDetails(f"title {n}", event_id="e", event_title=f"event {n}"), AT_MS + n)
        for n in range(3)
    ]
    ordered = [changes[each] for each in order]
    for batch in [ordered] if batched else [[each] for each in ordered]:
        table.write(batch)
    table.write(changes[:1])  # read again after a crash
    assert titles(reader) == ["title 2"]
    assert event_titles(reader) == [("default", "e", "event 2")]


@pytest.mark.parametrize("batched", [True, False])
def test_of_changes_at_the_same_time_the_last_holds(
    table: PostgresTitleTable, reader: psycopg.Connection, *, batched: bool
) -> None:
    changes = [change(SessionDetails(each, event_id="e", event_title=each)) for each in "ab"]
    for batch in [changes] if batched else [[each] for each in changes]:
        table.write(batch)
    assert titles(reader) == ["b"]
    assert event_titles(reader) == [("default", "e", "b")]


@pytest.mark.parametrize("batched", [True, False])
def test_an_event_keeps_its_title_unless_a_change_has_one(
    table: PostgresTitleTable, reader: psycopg.Connection, *, batched: bool
) -> None:
    changes = [change(KEYNOTE), change(SessionDetails("Closing"), AT_MS + 1)]
    for batch in [changes] if batched else [[each] for each in changes]:
        table.write(batch)
    assert event_titles(reader) == [("default", "summit", "Summit ❄")]
    ((_, _, event_id, title, speakers, begin, _),) = session_titles(reader)
    assert (event_id, title, speakers, begin) == ("summit", "Closing", [], None)
    table.write([change(SessionDetails("Closing", event_title=None), AT_MS + 2)])
    assert event_titles(reader) == [("default", "summit", None)]


def test_the_title_of_an_event_without_id_is_that_of_the_session_s_event(
    url: str, table: PostgresTitleTable, reader: psycopg.Connection
) -> None:
    with closing(PostgresRowStore(url)) as store:
        store.write([row("keynote", event_id="fair"), row("alone", event_id="alone")])
    named = SessionDetails("x", event_title="named")
    table.write([change(named), change(named, session_id="alone"), change(named, session_id="new")])
    assert event_titles(reader) == [
        ("default", "alone", "named"),
        ("default", "fair", "named"),
        ("default", "new", "named"),
    ]


def test_titles_of_tenants_are_kept_apart(
    table: PostgresTitleTable, reader: psycopg.Connection
) -> None:
    table.write(
        [
            change(KEYNOTE),
            change(SessionDetails("x", event_id="summit", event_title="y"), of="acme"),
        ]
    )
    assert titles(reader) == ["x", "Opening keynote"]
    assert event_titles(reader) == [("acme", "summit", "y"), ("default", "summit", "Summit ❄")]


@pytest.mark.parametrize("text", ["😀" * 200, "'; DROP TABLE sessions --", '\\ "{},%s %b $1 <b>'])
def test_any_text_is_stored_as_it_is(
    table: PostgresTitleTable, reader: psycopg.Connection, text: str
) -> None:
    table.write([change(SessionDetails(text, (text[:100],), event_title=text), session_id=text)])
    ((_, session_id, _, title, speakers, *_),) = session_titles(reader)
    assert (session_id, title, speakers) == (text, text, [text[:100]])


def test_a_title_that_can_not_be_stored_is_refused_alone(
    table: PostgresTitleTable, reader: psycopg.Connection
) -> None:
    bad = [
        change(SessionDetails("nul\0"), session_id="a"),
        change(SessionDetails("\ud800"), session_id="b"),
    ]
    refused = table.write([*bad, change(KEYNOTE)])
    assert [each.change for each in refused] == bad
    assert titles(reader) == ["Opening keynote"]


def test_a_database_that_is_away_refuses_no_title(url: str, reader: psycopg.Connection) -> None:
    del reader
    away = PostgresTitleTable("postgresql://127.0.0.1:1/x")
    with closing(away), pytest.raises(Unavailable):
        away.write([change(KEYNOTE)])
    with (
        closing(
            PostgresTitleTable(make_conninfo(url, options="-c default_transaction_read_only=on"))
        ) as read_only,
        pytest.raises((ConfigError, Unavailable)),
    ):
        read_only.write([change(KEYNOTE), change(KEYNOTE)])


def test_titles_wait_for_the_tables(plain_database: str) -> None:
    with closing(PostgresTitleTable(plain_database)) as table:
        with pytest.raises(ConfigError, match="migrate"):
            table.write([change(KEYNOTE)])
        migrate(plain_database)
        assert table.write([change(KEYNOTE)]) == []
