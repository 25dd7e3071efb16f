"""Events of rows are enqueued for webhooks with the rows, each once."""

from collections.abc import Iterator
from contextlib import closing
from time import time
from typing import Any

import msgspec
import psycopg
import pytest

from conductor_actors.adapters.postgres.deliveries_table import DAYS_KEPT
from conductor_actors.adapters.postgres.metrics_table import MIN_COPIED_ROWS
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.postgres.session_catalog import PostgresSessionCatalog
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError
from tests.support.score_rows import ANOMALY_ID, began, ended, row

NOW_MS = round(time()) * 1000
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
TENANTS = ("default", "acme")


@pytest.fixture
def hooked(database: str) -> Iterator[PostgresRowStore]:
    with closing(PostgresRowStore(database, has_webhook=TENANTS.__contains__)) as store:
        yield store


def enqueued(url: str, what: str = "type") -> list[Any]:
    query = f"SELECT {what} FROM webhook_deliveries ORDER BY session_id, occurred_at, position"
    with psycopg.connect(url) as connection:
        return [value for (value,) in connection.execute(query.encode())]


def talk(session_id: str = "a", at_ms: int = NOW_MS) -> list[ScoreRow]:
    """Return the rows of a session with an anomaly that ends with it."""
    return [
        row(session_id, at_ms - 10_000, anomalies=(began(),)),
        row(session_id, at_ms - 5_000),
        row(session_id, at_ms, anomalies=(ended(began_ms=at_ms - 10_000),), is_last=True),
    ]


def test_an_anomaly_and_the_end_of_a_session_are_enqueued_in_their_order(
    hooked: PostgresRowStore, database: str
) -> None:
    hooked.write(talk())
    assert enqueued(database) == ["anomaly.began", "anomaly.ended", "session.ended"]
    assert enqueued(database, "state") == ["pending"] * 3


def test_the_body_of_an_anomaly_is_what_is_published_in_an_envelope(
    hooked: PostgresRowStore, database: str
) -> None:
    hooked.write(talk())
    first, second, third = enqueued(database, "body")
    body = msgspec.json.decode(first)
    assert list(body) == ["type", "timestamp", "data"]
    assert body["type"] == "anomaly.began"
    assert body["data"]["id"] == ANOMALY_ID
    assert body["data"]["severity"] == "CRITICAL"
    assert body["timestamp"] == body["data"]["timestamp"]
    assert msgspec.json.decode(second)["data"]["durationS"] == 10
    assert third is None


@pytest.mark.parametrize("others", [0, MIN_COPIED_ROWS])  # INSERT and COPY
def test_rows_that_are_stored_again_enqueue_nothing_more(
    hooked: PostgresRowStore, database: str, others: int
) -> None:
    rows = talk() + [row(f"other-{number}", NOW_MS) for number in range(others)]
    hooked.write(rows)
    ids = enqueued(database, "id")
    hooked.write(rows[:1])
    hooked.write(rows)
    assert enqueued(database, "id") == ids
    assert len(ids) == 3


def test_a_delivery_that_was_done_is_not_enqueued_anew(
    hooked: PostgresRowStore, database: str
) -> None:
    hooked.write(talk())
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE webhook_deliveries SET state = 'delivered'")
    hooked.write(talk())
    assert enqueued(database, "state") == ["delivered"] * 3


def test_a_session_that_begins_anew_ends_again(hooked: PostgresRowStore, database: str) -> None:
    hooked.write([row("a", NOW_MS - 60_000, is_last=True), row("a", NOW_MS, is_last=True)])
    assert enqueued(database) == ["session.ended"] * 2


def test_sessions_of_one_name_in_two_tenants_have_events_of_their_own(
    hooked: PostgresRowStore, database: str
) -> None:
    hooked.write([row("a", NOW_MS, tenant_id=tenant, is_last=True) for tenant in TENANTS])
    assert sorted(enqueued(database, "tenant_id")) == sorted(TENANTS)


def test_a_tenant_without_a_webhook_enqueues_nothing(
    hooked: PostgresRowStore, store: PostgresRowStore, database: str
) -> None:
    hooked.write([row("a", NOW_MS, tenant_id="globex", is_last=True)])
    store.write(talk())
    assert enqueued(database) == []


def test_what_is_older_than_deliveries_are_kept_is_not_enqueued(
    hooked: PostgresRowStore, database: str
) -> None:
    """Else it would be sent again when its rows are stored again."""
    hooked.write(talk("old", NOW_MS - (DAYS_KEPT * DAY_MS + HOUR_MS)))
    hooked.write(talk("new", NOW_MS - (DAYS_KEPT * DAY_MS - HOUR_MS)))
    assert enqueued(database, "session_id") == ["new"] * 3


def test_without_its_row_nothing_is_enqueued_and_without_its_event_no_row_is_stored(
    hooked: PostgresRowStore, database: str
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE engagement_metrics ADD CHECK (session_id <> 'refused')")
    written = hooked.write([*talk("refused"), *talk("stored")])
    assert [each.row.session_id for each in written.refused] == ["refused"] * 3
    assert enqueued(database, "session_id") == ["stored"] * 3
    with psycopg.connect(database) as connection:
        connection.execute("DROP TABLE webhook_deliveries")
    with pytest.raises(ConfigError, match="migrate"):
        hooked.write(talk("later"))
    with psycopg.connect(database) as connection:
        [(rows,)] = connection.execute(
            "SELECT count(*) FROM engagement_metrics WHERE session_id = 'later'"
        )
    assert rows == 0


def test_a_table_that_refuses_every_event_is_an_outage_and_no_fault_of_rows(
    hooked: PostgresRowStore, database: str
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN RAISE ''not now''; END';
            CREATE TRIGGER refuse BEFORE INSERT ON webhook_deliveries
            FOR EACH ROW EXECUTE FUNCTION refuse()
        """)
    hooked.write([row("a", NOW_MS - 5000)])
    with pytest.raises(ConfigError, match="not now"):
        hooked.write([row("a", NOW_MS, is_last=True)])


def test_a_session_that_was_lost_ends_with_an_event_too(
    hooked: PostgresRowStore, database: str
) -> None:
    at_ms = NOW_MS - 3_600_000
    hooked.write([row(each, at_ms, tenant_id=each) for each in (*TENANTS, "globex")])
    with closing(PostgresSessionCatalog(database, has_webhook=TENANTS.__contains__)) as catalog:
        lost = catalog.find_lost(NOW_MS)
        assert catalog.end(lost) == 3
        assert catalog.end(lost) == 0
    assert sorted(enqueued(database, "tenant_id || ' ' || type")) == [
        "acme session.ended",
        "default session.ended",
    ]
    hooked.write([row("acme", at_ms, tenant_id="acme", is_last=True)])
    assert len(enqueued(database)) == 2


def test_the_check_says_what_webhooks_lack(hooked: PostgresRowStore, database: str) -> None:
    assert [found.ok for found in hooked.check_access()] == [True] * 4
    with psycopg.connect(database) as connection:
        connection.execute("DROP TABLE webhook_deliveries")
    assert hooked.check_access()[-1].line == "webhooks: there is no table webhook_deliveries"
