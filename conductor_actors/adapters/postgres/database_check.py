"""What `check` reports about a database: whether all that the service writes can be stored."""

from collections.abc import Iterator
from typing import Final

from conductor_actors.adapters.postgres import editions, migrations
from conductor_actors.adapters.postgres.connection import DatabaseConnection
from conductor_actors.ports import CheckResult

# SQL_ASCII stores any bytes, so also those of UTF-8.
_ENCODINGS_OF_ALL_TEXT: Final = ("UTF8", "SQL_ASCII")

_FIND_OBSTACLES: Final = """
    SELECT current_setting('transaction_read_only') = 'on',
           CASE WHEN to_regclass('engagement_metrics') IS NULL THEN 'engagement_metrics'
                WHEN to_regclass('anomalies') IS NULL THEN 'anomalies'
                WHEN to_regclass('interventions') IS NULL THEN 'interventions'
                WHEN to_regclass('agent_performance') IS NULL THEN 'agent_performance'
                WHEN to_regclass('sessions') IS NULL THEN 'sessions'
                WHEN to_regclass('session_titles') IS NULL THEN 'session_titles'
                WHEN to_regclass('event_titles') IS NULL THEN 'event_titles' END,
           has_table_privilege(to_regclass('engagement_metrics'), 'SELECT')
               AND has_table_privilege(to_regclass('engagement_metrics'), 'INSERT'),
           has_table_privilege(to_regclass('anomalies'), 'SELECT')
               AND has_table_privilege(to_regclass('anomalies'), 'INSERT')
               AND has_column_privilege(to_regclass('anomalies'), 'metadata', 'UPDATE'),
           has_table_privilege(to_regclass('interventions'), 'SELECT')
               AND has_table_privilege(to_regclass('interventions'), 'INSERT')
               AND has_column_privilege(to_regclass('interventions'), 'status', 'UPDATE')
               AND has_column_privilege(to_regclass('interventions'), 'outcome', 'UPDATE')
               AND has_column_privilege(to_regclass('interventions'), 'metadata', 'UPDATE')
               AND has_table_privilege(to_regclass('agent_performance'), 'SELECT')
               AND has_table_privilege(to_regclass('agent_performance'), 'INSERT'),
           (SELECT bool_and(has_table_privilege(to_regclass(name), privilege))
            FROM unnest(ARRAY['sessions', 'session_titles', 'event_titles']) AS name,
                 unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS privilege)
"""
# In the order in which the query looks for them.
_LACKS: Final = (
    "SELECT and INSERT on engagement_metrics",
    "SELECT, INSERT and UPDATE (metadata) on anomalies",
    (
        "SELECT, INSERT and UPDATE (status, outcome, metadata) on interventions, or SELECT and "
        "INSERT on agent_performance"
    ),
    "SELECT, INSERT and UPDATE on sessions, session_titles or event_titles",
)


def check_access(connection: DatabaseConnection) -> Iterator[CheckResult]:
    """Check the tables, and whether rows can be written."""
    server = editions.detect_server(connection)
    yield CheckResult(ok=True, line=f"database: {server}")
    pending = migrations.pending(connection, server.edition)
    if pending:
        names = ", ".join(migration.name for migration in pending)
        yield CheckResult(
            ok=False, line=f"tables: {names} not applied; run: python -m conductor_actors migrate"
        )
    else:
        yield CheckResult(ok=True, line="tables: up to date")
    obstacle = _obstacle(connection)
    yield CheckResult(ok=obstacle is None, line=f"writing: {obstacle or 'allowed'}")


def check_encoding(connection: DatabaseConnection) -> Iterator[CheckResult]:
    """Check that the database can hold any text."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in _ENCODINGS_OF_ALL_TEXT:
        yield CheckResult(
            ok=False,
            line=f"encoding: {encoding} can't hold all text, and rows with other ids are refused; "
            "move to a database that was created with ENCODING 'UTF8'",
        )


def check_feedback(connection: DatabaseConnection) -> Iterator[CheckResult]:
    """Warn of a user who reads anomalies, as that of a dashboard, and can't store feedback."""
    found = connection.execute(
        "SELECT has_table_privilege(to_regclass('anomalies'), 'SELECT')"
        " AND NOT has_table_privilege(to_regclass('anomalies'), 'INSERT')"
        " AND NOT has_column_privilege(to_regclass('anomalies'), 'metadata', 'UPDATE')"
    ).fetchone()
    if found == (True,):
        line = "feedback: can't be stored, because the user lacks UPDATE (metadata) on anomalies"
        yield CheckResult(ok=True, line=line, is_warning=True)


def check_titles(connection: DatabaseConnection) -> Iterator[CheckResult]:
    """Warn of a user who reads titles, as that of a dashboard, and can't store them."""
    found = connection.execute(
        "SELECT has_table_privilege(to_regclass('session_titles'), 'SELECT')"
        " AND NOT has_table_privilege(to_regclass('sessions'), 'INSERT')"
        " AND NOT (SELECT bool_and(has_table_privilege(to_regclass(name), privilege))"
        " FROM unnest(ARRAY['session_titles', 'event_titles']) AS name,"
        " unnest(ARRAY['INSERT', 'UPDATE']) AS privilege)"
    ).fetchone()
    if found == (True,):
        line = (
            "titles: can't be stored, because the user lacks INSERT and UPDATE on session_titles "
            "or event_titles"
        )
        yield CheckResult(ok=True, line=line, is_warning=True)


def _obstacle(connection: DatabaseConnection) -> str | None:
    """Return why rows can't be written, if they can't."""
    found = connection.execute(_FIND_OBSTACLES).fetchone()
    is_read_only, missing_table, *granted = found or (False, None)
    if is_read_only:
        return "the server is read-only"
    if missing_table is not None:
        return f"there is no table {missing_table}"
    lacking = (name for name, is_granted in zip(_LACKS, granted, strict=True) if not is_granted)
    return next((f"the user lacks {privileges}" for privileges in lacking), None)
