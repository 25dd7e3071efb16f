"""How many rows each partition has stored."""

from contextlib import suppress
from typing import Final

import psycopg

from conductor_actors.domain.partitions.partition import partition_of
from tests.support.event_load import SESSIONS
from tests.support.waiting import wait_until

GROWS_WITHIN_S: Final = 40.0


class RowCounts:
    """The rows of a steady load in a database, by partition."""

    def __init__(self, database_url: str, partitions: int) -> None:
        self._url = database_url
        self._sessions: dict[int, list[str]] = {number: [] for number in range(partitions)}
        for number in range(SESSIONS):
            name = f"bulk-{number}"
            self._sessions[partition_of("default", name, partitions)].append(name)

    def counts(self) -> dict[int, int]:
        """Return the number of rows of each partition; none before there are tables."""
        query = "SELECT session_id, count(*) FROM engagement_metrics GROUP BY 1"
        found: dict[str, int] = {}
        with suppress(psycopg.errors.UndefinedTable), psycopg.connect(self._url) as connection:
            found = dict(connection.execute(query).fetchall())
        return {
            number: sum(found.get(name, 0) for name in names)
            for number, names in self._sessions.items()
        }

    def wait_for_more(self, *partitions: int, within_s: float = GROWS_WITHIN_S) -> None:
        """Wait until each of these partitions has more rows than now."""
        before = self.counts()
        wait_until(lambda: all(self.counts()[each] > before[each] for each in partitions), within_s)
