"""Read reports: on an event loop for the API, and in a thread for delivery."""

from collections.abc import Sequence
from typing import Any, Final

import psycopg

from conductor_actors.adapters.postgres.connection import (
    primary_message,
)
from conductor_actors.adapters.postgres.history.history_queries import HistoryQueries
from conductor_actors.adapters.postgres.history.other_sessions import KnownContributions
from conductor_actors.adapters.postgres.history.report_steps import (
    ReportSteps,
    event_report_steps,
    session_report_steps,
)
from conductor_actors.adapters.postgres.kept_connection import KeptConnection
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import Unavailable
from conductor_actors.ports.report_port import ReportRules
from conductor_actors.wire.report_bodies import Report

REPORT_DEADLINE_S: Final = 60.0  # of all queries of a report that is delivered


class PostgresReportReader:
    """A `ReportReader` on the connections for histories."""

    def __init__(self, queries: HistoryQueries, rules: ReportRules) -> None:
        self._queries = queries
        self._rules = rules
        self._known = KnownContributions()

    async def session_report(
        self, key: SessionKey, session_ids: Sequence[str] | None = None
    ) -> Report | None:
        """Return the report of a session; None if it has no row."""
        steps = session_report_steps(key, session_ids, self._rules, self._known)
        return await self._read(key.tenant_id, steps)

    async def event_report(
        self, tenant_id: str, event_id: str, session_ids: Sequence[str] | None = None
    ) -> Report | None:
        """Return the report of an event; None if none of its sessions has a row."""
        steps = event_report_steps(tenant_id, event_id, session_ids, self._rules)
        return await self._read(tenant_id, steps)

    async def _read(self, tenant_id: str, steps: ReportSteps) -> Report | None:
        query = next(steps)
        while True:
            records = await self._queries.run(tenant_id, *query)
            try:
                query = steps.send(records)
            except StopIteration as end:
                report: Report | None = end.value
                return report


class PostgresSessionReports:
    """A `SessionReports` with one connection, which is opened when it is needed."""

    def __init__(self, url: str, rules: ReportRules, deadline_s: float = REPORT_DEADLINE_S) -> None:
        self._rules = rules
        self._known = KnownContributions()
        self._connection = KeptConnection(url, deadline_s)

    def session_report(self, key: SessionKey) -> Report | None:
        """Return the report of a session; None if it has no row."""
        steps = session_report_steps(key, None, self._rules, self._known)
        try:
            with self._connection.transaction() as connection:
                return run_steps(connection, steps)
        except psycopg.Error as error:  # about a value: the next version may read it
            raise Unavailable(primary_message(error)) from None

    def close(self) -> None:
        """Close the connection; the next report opens another."""
        self._connection.close()


def run_steps(connection: psycopg.Connection[Any], steps: ReportSteps) -> Report | None:
    """Run the queries of a report on a connection."""
    query = next(steps)
    while True:
        records = connection.execute(*query, binary=True).fetchall()
        try:
            query = steps.send(records)
        except StopIteration as end:
            report: Report | None = end.value
            return report
