"""A row is refused only on evidence that the row is at fault, not the server."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError
from tests.faults.proxy import Direction, Proxy
from tests.support.interventions import MEASURED, intervention
from tests.support.score_rows import AT_MS, began, ended, row

DAY_MS = 86_400_000
REFUSED_TENANT = "refused"
REFUSED = [row(f"session-{number}", tenant_id=REFUSED_TENANT) for number in range(30)]
ACCEPTED = [row(f"session-{number}") for number in range(30)]
IN_ITS_TENANT = f"new.tenant_id = '{REFUSED_TENANT}'"
MAX_TRANSACTIONS = 18  # in which six rows are stored, one of which is refused


@pytest.fixture
def operator(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE EXCEPTION 'raised by a trigger'; END$$"
        )
        yield connection


def create_trigger(operator: psycopg.Connection, condition: str) -> None:
    operator.execute(
        f"CREATE TRIGGER fail BEFORE INSERT ON engagement_metrics FOR EACH ROW WHEN ({condition})"
        " EXECUTE FUNCTION fail()".encode()
    )


def drop_trigger(operator: psycopg.Connection) -> None:
    operator.execute("DROP TRIGGER fail ON engagement_metrics")


def refuse_by_trigger(operator: psycopg.Connection) -> None:
    create_trigger(operator, IN_ITS_TENANT)


def refuse_by_deferred_trigger(operator: psycopg.Connection) -> None:
    operator.execute(
        "CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON engagement_metrics"
        f" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ({IN_ITS_TENANT})"
        " EXECUTE FUNCTION fail()".encode()
    )


def refuse_by_row_security(operator: psycopg.Connection) -> None:
    operator.execute("ALTER TABLE engagement_metrics ENABLE ROW LEVEL SECURITY")
    operator.execute("ALTER TABLE engagement_metrics FORCE ROW LEVEL SECURITY")
    operator.execute(
        "CREATE POLICY others ON engagement_metrics"
        f" USING (tenant_id <> '{REFUSED_TENANT}')".encode()
    )


each_refusal = pytest.mark.parametrize(
    "refuse", [refuse_by_trigger, refuse_by_deferred_trigger, refuse_by_row_security]
)


def refused_rows(
    store: PostgresRowStore, rows: list[ScoreRow], *waiting: ScoreRow
) -> list[ScoreRow]:
    return [refused for refused, _ in store.write(rows, waiting).refused]


def stored_rows(operator: psycopg.Connection) -> int:
    return operator.execute("SELECT FROM engagement_metrics").rowcount


@each_refusal
def test_a_batch_of_refused_rows_alone_is_refused_if_a_waiting_row_is_accepted(
    store: PostgresRowStore,
    operator: psycopg.Connection,
    refuse: Callable[[psycopg.Connection], None],
) -> None:
    refuse(operator)
    with pytest.raises(ConfigError):
        store.write(REFUSED)
    with pytest.raises(ConfigError):
        store.write(REFUSED, REFUSED)
    assert refused_rows(store, REFUSED, *REFUSED[:2], ACCEPTED[0]) == REFUSED
    assert stored_rows(operator) == 0


@each_refusal
def test_a_batch_of_refused_rows_alone_is_refused_if_another_row_was_accepted_before(
    store: PostgresRowStore,
    operator: psycopg.Connection,
    refuse: Callable[[psycopg.Connection], None],
) -> None:
    refuse(operator)
    store.write(ACCEPTED)
    assert refused_rows(store, REFUSED) == REFUSED
    later = [row("session-1", AT_MS + DAY_MS, tenant_id=REFUSED_TENANT)]
    assert refused_rows(store, later) == later
    assert stored_rows(operator) == len(ACCEPTED)


def test_rows_wait_while_the_server_refuses_every_row(
    store: PostgresRowStore, operator: psycopg.Connection
) -> None:
    store.write(ACCEPTED)
    create_trigger(operator, "true")
    later = [row(f"session-{number}", AT_MS + 5000) for number in range(30)]
    for rows in (later, later[:1]):
        with pytest.raises(ConfigError, match="raised by a trigger"):
            store.write(rows, later)
    drop_trigger(operator)
    assert store.write(later) == (len(later), ())


def test_rows_of_a_new_day_wait_while_the_server_refuses_every_row_of_it(
    store: PostgresRowStore, operator: psycopg.Connection
) -> None:
    store.write(ACCEPTED)
    tomorrow = [row(f"session-{number}", AT_MS + DAY_MS) for number in range(3)]
    create_trigger(operator, f"new.time > to_timestamp({AT_MS / 1000}) + interval '1 hour'")
    with pytest.raises(ConfigError):
        store.write(tomorrow)
    drop_trigger(operator)
    assert store.write(tomorrow).stored == 3


def test_old_rows_that_are_refused_while_new_ones_are_accepted_are_at_fault(
    store: PostgresRowStore, operator: psycopg.Connection
) -> None:
    create_trigger(operator, f"new.time < to_timestamp({AT_MS / 1000})")
    old = [row(f"session-{number}", AT_MS - DAY_MS) for number in range(3)]
    store.write(ACCEPTED)
    assert refused_rows(store, old) == old


def test_rows_wait_while_a_trigger_refuses_every_statement(
    store: PostgresRowStore, operator: psycopg.Connection
) -> None:
    store.write(ACCEPTED)
    operator.execute(
        "CREATE TRIGGER fail BEFORE INSERT ON engagement_metrics EXECUTE FUNCTION fail()"
    )
    with pytest.raises(ConfigError):
        store.write(REFUSED, ACCEPTED)


@contextmanager
def acting_store(url: str, act: Callable[[int], None]) -> Iterator[PostgresRowStore]:
    """Yield a store; before its n-th message with a transaction, `act(n)` is called."""
    number = 0

    def count(direction: Direction, piece: bytes) -> bytes:
        nonlocal number
        if direction is Direction.REQUEST and b"BEGIN" in piece:
            number += 1
            act(number)
        return piece

    with (
        Proxy(int(str(conninfo_to_dict(url)["port"]))) as proxy,
        closing(PostgresRowStore(make_conninfo(url, port=proxy.port))) as store,
    ):
        proxy.filter = count
        yield store


def test_rows_of_sessions_that_were_refused_before_cost_the_others_no_search(
    database: str, operator: psycopg.Connection
) -> None:
    refuse_by_trigger(operator)
    transactions: list[int] = []
    refused = REFUSED[:4]
    with acting_store(database, transactions.append) as store:
        for _ in range(2):
            assert refused_rows(store, [*ACCEPTED[:9], *refused, *ACCEPTED[9:]]) == refused
            searched = len(transactions)
            transactions.clear()
        assert searched == 1 + 2 * len(refused)  # all others at once, and each with another row
        drop_trigger(operator)
        assert store.write(refused) == (len(refused), ())
        transactions.clear()
        assert store.write(refused) == (0, ())
        assert len(transactions) == 1


@pytest.mark.parametrize("count", [6, 150])
def test_a_grant_that_is_revoked_while_refused_rows_are_searched_for_costs_no_row(
    database: str, operator: psycopg.Connection, count: int
) -> None:
    refuse_by_trigger(operator)
    revoke = sql.SQL("REVOKE INSERT ON engagement_metrics FROM CURRENT_USER")
    for revoked_at in range(1, MAX_TRANSACTIONS):
        rows = [row(f"session-{number}", AT_MS + 5000 * revoked_at) for number in range(count)]
        rows[count // 3] = row("one", AT_MS + 5000 * revoked_at, tenant_id=REFUSED_TENANT)

        def act(number: int, revoked_at: int = revoked_at) -> None:
            if number == revoked_at:
                operator.execute(revoke)

        with acting_store(database, act) as store:
            try:
                refused = refused_rows(store, rows)
            except ConfigError as error:
                assert "permission denied" in str(error)  # noqa: PT017
                operator.execute("GRANT INSERT ON engagement_metrics TO CURRENT_USER")
                refused = refused_rows(store, rows)
        assert refused == [rows[count // 3]]
        assert stored_rows(operator) == revoked_at * (count - 1)


@pytest.mark.parametrize("lasts", [1, 2, 5])
def test_a_trigger_that_refuses_every_row_for_a_moment_costs_no_row(
    database: str, operator: psycopg.Connection, lasts: int
) -> None:
    operator.execute("CREATE TABLE maintenance (is_on boolean)")
    operator.execute(
        "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$BEGIN IF {IN_ITS_TENANT} OR (SELECT is_on FROM maintenance) THEN"
        " RAISE EXCEPTION 'raised by a trigger'; END IF; RETURN new; END$$".encode()
    )
    create_trigger(operator, "true")
    operator.execute("INSERT INTO maintenance VALUES (false)")
    for begins_at in range(1, MAX_TRANSACTIONS):
        rows = [row(f"session-{number}", AT_MS + 5000 * begins_at) for number in range(6)]
        rows[3] = row("one", AT_MS + 5000 * begins_at, tenant_id=REFUSED_TENANT)

        def act(number: int, begins_at: int = begins_at) -> None:
            if number in (begins_at, begins_at + lasts):
                operator.execute("UPDATE maintenance SET is_on = %s", (number == begins_at,))

        with acting_store(database, act) as store:
            try:
                refused = refused_rows(store, rows)
            except ConfigError:
                operator.execute("UPDATE maintenance SET is_on = false")
                refused = refused_rows(store, rows)
        assert refused == [rows[3]]
    assert stored_rows(operator) == 5 * (MAX_TRANSACTIONS - 1)


# A change of each table, and another one.
CHANGES: dict[str, list[dict[str, Any]]] = {
    "anomalies": [{"anomalies": (began(str(UUID(int=number))),)} for number in (1, 2)],
    "interventions": [{"interventions": (intervention(number),)} for number in (1, 2)],
    "agent_performance": [
        {"interventions": (intervention(number, outcome=MEASURED),)} for number in (1, 2)
    ],
}


def create_trigger_on(table: str, operator: psycopg.Connection, condition: str) -> None:
    operator.execute(
        f"CREATE TRIGGER fail BEFORE INSERT ON {table} FOR EACH ROW WHEN ({condition})"
        " EXECUTE FUNCTION fail()".encode()
    )


@pytest.mark.parametrize("table", CHANGES)
def test_a_row_whose_anomaly_or_intervention_is_refused_is_refused_alone(
    store: PostgresRowStore, operator: psycopg.Connection, table: str
) -> None:
    create_trigger_on(table, operator, IN_ITS_TENANT)
    bad = row(tenant_id=REFUSED_TENANT, **CHANGES[table][0])
    good = row("good", **CHANGES[table][1])
    assert refused_rows(store, [*ACCEPTED, bad, good]) == [bad]
    assert stored_rows(operator) == len(ACCEPTED) + 1
    found = operator.execute(f"SELECT session_id FROM {table}".encode()).fetchall()
    assert found == [("good",)]


@pytest.mark.parametrize("table", CHANGES)
def test_rows_wait_while_the_server_refuses_every_anomaly_or_intervention(
    store: PostgresRowStore, operator: psycopg.Connection, table: str
) -> None:
    create_trigger_on(table, operator, "true")
    rows = [*ACCEPTED, row(**CHANGES[table][0])]
    for _ in range(2):
        with pytest.raises(ConfigError, match="raised by a trigger"):
            store.write(rows, ACCEPTED)
    operator.execute(f"DROP TRIGGER fail ON {table}".encode())
    assert not store.write(rows).refused
    assert operator.execute(f"SELECT FROM {table}".encode()).rowcount == 1


def test_an_anomaly_whose_begin_is_refused_for_a_moment_is_over_once_both_are_stored(
    store: PostgresRowStore, operator: psycopg.Connection
) -> None:
    operator.execute("CREATE SEQUENCE attempts")
    create_trigger_on("anomalies", operator, "nextval('attempts') <= 2")
    rows = [row(anomalies=(began(),)), row(at_ms=AT_MS + 5000, anomalies=(ended(),))]
    assert store.write(rows) == (2, ())
    assert operator.execute("SELECT FROM anomalies WHERE metadata ? 'ended_at'").rowcount == 1
