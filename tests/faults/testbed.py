"""The testbed of one experiment: servers, a proxy before each, and the programs on them."""

import json
import os
import signal
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg

from conductor_actors.instants import to_datetime, to_iso, to_ms
from tests.faults.oracle import at_ms, difference
from tests.faults.proxy import Proxy
from tests.faults.report import Report
from tests.faults.traffic import impatient_client
from tests.support.processes import ROOT
from tests.support.programs import (
    QUICK,
    Completed,
    Line,
    Program,
    Row,
    replay_rows,
    rows_until,
    run_to_end,
    running,
    select_rows,
)
from tests.support.servers import ServerPair, server_pair
from tests.support.waiting import becomes_true

DRAIN_WITHIN_S: Final = 20.0
OWNER: Final = "conductor:owner"
DEAD_LETTERS: Final = "conductor:dead-letters"
OUTBOX: Final = "conductor:outbox"
SHORT_INTERVALS: Final = {
    "CONDUCTOR_HTTP_PORT": "0",
    "CONDUCTOR_METRICS_PORT": "0",
    "CONDUCTOR_CHECKPOINT_S": "1",
}

# The defaults of the settings.
DEFAULT_INTERVALS: Final = {
    "CONDUCTOR_TICK_S": "5",
    "CONDUCTOR_WINDOW_S": "60",
    "CONDUCTOR_SESSION_TIMEOUT_S": "1800",
    "CONDUCTOR_CHECKPOINT_S": "30",
}
INJECTED: Final = Path(__file__).parent / "injected"


class Testbed:
    """Servers on fixed ports, which programs reach through proxies only."""

    def __init__(self, servers: ServerPair, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._servers = servers
        self.redis_url, self.database_url = servers.redis_url, servers.database_url
        self.redis = self.proxy_before_redis()
        self.database = stack.enter_context(Proxy(_port(self.database_url)))
        self.client = stack.enter_context(impatient_client(self.redis_url))
        self.variables = QUICK | SHORT_INTERVALS
        self.programs: list[Program] = []

    def proxy_before_redis(self) -> Proxy:
        """Add a proxy before Redis."""
        return self._stack.enter_context(Proxy(_port(self.redis_url)))

    def start(self, redis_proxy: Proxy | None = None, **variables: str) -> Program:
        """Start a program, which ends with the testbed at the latest."""
        urls = {
            "REDIS_URL": _at(self.redis_url, redis_proxy or self.redis),
            "DATABASE_URL": _at(self.database_url, self.database),
        }
        program = running("collect", cwd=self.folder, **self.variables, **urls, **variables)
        self.programs.append(self._stack.enter_context(program))
        return self.programs[-1]

    def start_and_wait(self, redis_proxy: Proxy | None = None, **variables: str) -> Program:
        """Start a program, and wait until it reads events."""
        program = self.start(redis_proxy, **variables)
        program.wait_for("service_started", deadline_s=30)
        return program

    def start_with_fault(self, fault: str) -> Program:
        """Start a program with an injected fault, and wait until it reads events."""
        return self.start_and_wait(PYTHONPATH=f"{INJECTED}:{ROOT}", CONDUCTOR_TEST_FAULTS=fault)

    def delete_lease(self) -> None:
        """Delete the lease of a killed owner, so that the next one need not wait for its expiry."""
        self.client.delete(OWNER)

    @property
    def tick_s(self) -> int:
        return int(self.variables["CONDUCTOR_TICK_S"])

    @contextmanager
    def redis_suspended(self) -> Iterator[None]:
        """Suspend the process of Redis until the block ends."""
        pid = int(self.client.info("server")["process_id"])
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def crash_database(self) -> None:
        """Kill the database, as a power failure would."""
        os.kill(self._servers.database_pid(), signal.SIGQUIT)

    def restart_database(self) -> None:
        """Start the database after a crash."""
        self._servers.stop("database")
        self._servers.start("database")

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement past the proxy, and return its rows."""
        writing = "-c default_transaction_read_only=off"
        with psycopg.connect(self.database_url, autocommit=True, options=writing) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def dead_letters(self) -> list[dict[str, str]]:
        """Return the dead letters."""
        return [
            {key.decode(): value.decode("utf-8", "replace") for key, value in letter.items()}
            for _, letter in self.client.xrange(DEAD_LETTERS)
        ]

    def entries(self, name: str) -> list[tuple[int, str, bytes]]:
        """Return the entries of a stream: their time, the stream's name, and the body."""
        found = self.client.xrange(name)
        return [(int(key.partition(b"-")[0]), name, fields[b"data"]) for key, fields in found]

    def entry_count(self, name: str) -> int:
        """Return the number of entries of a stream."""
        return int(self.client.xlen(name))

    def outbox_length(self) -> int:
        """Return the number of entries in the outbox."""
        return int(self.client.xlen(OUTBOX))

    def rows(self) -> list[Row]:
        """Return the stored rows."""
        return select_rows(self.database_url)

    def row_counter(self, last_ms: int) -> Callable[[], int]:
        """Return a function that counts the stored rows of the ticks up to a moment."""
        connection = self._stack.enter_context(psycopg.connect(self.database_url, autocommit=True))
        at = to_datetime(last_ms)
        query = "SELECT count(*) FROM engagement_metrics WHERE time <= %s"

        def count() -> int:
            found = connection.execute(query, (at,)).fetchone()
            return int(found[0]) if found else 0

        return count

    def replayed(self) -> list[Row]:
        """Return the rows of a replay of the streams, up to the first tick after their end."""
        return replay_rows(self.redis_url, self.folder, **self.variables)

    def replayed_anomalies(self) -> dict[str, tuple[str, ...]]:
        """Return the begin and the end of each anomaly that a replay finds, by id."""
        ended = run_to_end(
            "replay", self.redis_url, "--anomalies", "-", cwd=self.folder, **self.variables
        )
        assert ended.exit_code == 0, ended.stderr
        found: dict[str, tuple[str, ...]] = {}
        for line in map(json.loads, ended.stdout.splitlines()):
            found[line["id"]] = *found.get(line["id"], ()), line["timestamp"]
        return found

    def stored_anomalies(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return the id of each stored anomaly, with its begin and, if it is over, its end."""
        found = self.sql("SELECT id::text, timestamp, metadata->>'ended_at' FROM anomalies")
        return [
            (one, (to_iso(to_ms(at), "milliseconds"), *filter(None, [ended_at])))
            for one, at, ended_at in found
        ]

    def compared_with_database(self) -> Completed:
        """Return the result of comparing a replay with what is stored."""
        return run_to_end(
            *("replay", self.redis_url, "--against", "database"),
            cwd=self.folder,
            **self.variables,
            DATABASE_URL=self.database_url,
        )

    def settle(
        self,
        report: Report,
        refused: Collection[Row] = (),
        *,
        bit_for_bit: bool = True,
        within_s: float = 20.0,
    ) -> None:
        """Wait until every row that must be there is stored, and compare; traffic has ended.

        `refused`: keys of rows that must not be there. What is later than a replay's last tick is
        not compared.
        """
        expected = self.replayed()
        last = expected[-1][0]
        count = self.row_counter(at_ms(expected[-1]))
        expected = [row for row in expected if row[:3] not in refused]
        becomes_true(lambda: count() >= len(expected), within_s)
        found = self.rows()
        found_difference = difference(expected, rows_until(last, found))
        report.record(**dict(zip(found_difference._fields[:5], found_difference[:5], strict=True)))
        is_fine = found_difference.is_none if bit_for_bit else found_difference.has_every_row
        report.require(is_fine, f"rows: {found_difference.first}")
        now = datetime.now(UTC).isoformat()
        report.require(all(row[0] <= now for row in found), "a row is in the future")


@contextmanager
def new_testbed() -> Iterator[Testbed]:
    """Make a testbed, which is removed when the block ends."""
    with TemporaryDirectory() as folder, server_pair() as servers, ExitStack() as stack:
        servers.start("redis")
        servers.start("database")
        yield Testbed(servers, Path(folder).resolve(), stack)


def drain(program: Program, report: Report) -> float:
    """Terminate a program; return how long it took."""
    began_s = monotonic()
    program.signal(signal.SIGTERM)
    ended = program.finish(DRAIN_WITHIN_S + 10)
    report.require(ended.exit_code == 0, f"exit code {ended.exit_code}")
    report.require(not ended.stderr, f"it wrote to stderr: {ended.stderr}")
    report.require(not program.all("drain_incomplete"), "the drain was incomplete")
    return monotonic() - began_s


def since_s(moment_s: float, line: Line) -> float:
    """Return how long after a moment (Unix time) a line was written."""
    return datetime.fromisoformat(line["timestamp"]).timestamp() - moment_s


def _port(url: str) -> int:
    return urlsplit(url).port or 0


def _at(url: str, proxy: Proxy) -> str:
    return url.replace(f":{_port(url)}/", f":{proxy.port}/")
