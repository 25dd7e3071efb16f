"""One experiment's plant: own servers, a proxy before each, and the programs that run on them."""

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

from conductor_actors.instants import to_datetime
from tests.faults.oracle import at_ms, difference
from tests.faults.proxy import Proxy
from tests.faults.report import Report
from tests.faults.samples import waited
from tests.faults.traffic import impatient_client
from tests.support.processes import ROOT
from tests.support.programs import QUICK, Line, Program, Row, replayed, running, stored, until
from tests.support.servers import ServerPair, server_pair

DRAIN_WITHIN_S: Final = 20.0
OWNER: Final = "conductor:owner"
DEAD_LETTERS: Final = "conductor:dead-letters"
OUTBOX: Final = "conductor:outbox"
OURS: Final = {
    "CONDUCTOR_HTTP_PORT": "0",
    "CONDUCTOR_METRICS_PORT": "0",
    "CONDUCTOR_CHECKPOINT_S": "1",
}

# As it is run when nothing is set.
UNHURRIED: Final = {
    "CONDUCTOR_TICK_S": "5",
    "CONDUCTOR_WINDOW_S": "60",
    "CONDUCTOR_SESSION_TIMEOUT_S": "1800",
    "CONDUCTOR_CHECKPOINT_S": "30",
}
INJECTED: Final = Path(__file__).parent / "injected"


class Plant:
    """Own servers on ports that stay theirs. The program comes to them through proxies only."""

    def __init__(self, servers: ServerPair, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._servers = servers
        self.redis_url, self.database_url = servers.redis_url, servers.database_url
        self.redis = self.proxy_before_redis()
        self.database = stack.enter_context(Proxy(_port(self.database_url)))
        self.client = stack.enter_context(impatient_client(self.redis_url))
        self.variables = QUICK | OURS
        self.programs: list[Program] = []

    def proxy_before_redis(self) -> Proxy:
        """Make one more way to Redis."""
        return self._stack.enter_context(Proxy(_port(self.redis_url)))

    def start(self, redis_proxy: Proxy | None = None, **variables: str) -> Program:
        """Start a program; it ends with the plant at the latest."""
        urls = {
            "REDIS_URL": _at(self.redis_url, redis_proxy or self.redis),
            "DATABASE_URL": _at(self.database_url, self.database),
        }
        program = running("collect", cwd=self._folder, **self.variables, **urls, **variables)
        self.programs.append(self._stack.enter_context(program))
        return self.programs[-1]

    def started(self, redis_proxy: Proxy | None = None, **variables: str) -> Program:
        """Start a program, and wait until it reads."""
        program = self.start(redis_proxy, **variables)
        program.wait_for("service_started", deadline_s=30)
        return program

    def started_with(self, fault: str) -> Program:
        """Start a program that has a fault within, and wait until it reads."""
        return self.started(PYTHONPATH=f"{INJECTED}:{ROOT}", CONDUCTOR_TEST_FAULTS=fault)

    def bury(self) -> None:
        """Delete a dead owner's lease, so that nobody need wait until it has expired."""
        self.client.delete(OWNER)

    @property
    def tick_s(self) -> int:
        return int(self.variables["CONDUCTOR_TICK_S"])

    @contextmanager
    def redis_stopped(self) -> Iterator[None]:
        """Stop Redis in the middle of whatever it does; it goes on after the block."""
        pid = int(self.client.info("server")["process_id"])
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def crash_database(self) -> None:
        """End the database without a word to anybody, as a power failure would."""
        os.kill(self._servers.database_pid(), signal.SIGQUIT)

    def restart_database(self) -> None:
        """Start a database that was crashed."""
        self._servers.stop("database")
        self._servers.start("database")

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Tell the database something, past the proxy; give its answer."""
        writing = "-c default_transaction_read_only=off"
        with psycopg.connect(self.database_url, autocommit=True, options=writing) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def dead_letters(self) -> list[dict[str, str]]:
        """Give what could not be handled."""
        return [
            {key.decode(): value.decode("utf-8", "replace") for key, value in letter.items()}
            for _, letter in self.client.xrange(DEAD_LETTERS)
        ]

    def entries(self, name: str) -> list[tuple[int, str, bytes]]:
        """Give what is in a stream: when it came, its name, its body."""
        found = self.client.xrange(name)
        return [(int(key.partition(b"-")[0]), name, fields[b"data"]) for key, fields in found]

    def entry_count(self, name: str) -> int:
        """Count what is in a stream."""
        return int(self.client.xlen(name))

    def set_aside(self) -> int:
        """Count what waits in the outbox."""
        return int(self.client.xlen(OUTBOX))

    def rows(self) -> list[Row]:
        """Give what is stored."""
        return stored(self.database_url)

    def row_counter(self, last_ms: int) -> Callable[[], int]:
        """Make a look at how many rows there are of the ticks up to a moment."""
        connection = self._stack.enter_context(psycopg.connect(self.database_url, autocommit=True))
        at = to_datetime(last_ms)
        query = "SELECT count(*) FROM engagement_metrics WHERE time <= %s"

        def count() -> int:
            found = connection.execute(query, (at,)).fetchone()
            return int(found[0]) if found else 0

        return count

    def replayed(self) -> list[Row]:
        """Score what is in the streams again: the rows up to the first tick after it."""
        return replayed(self.redis_url, self._folder, **self.variables)

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
        must_be = self.replayed()
        last = must_be[-1][0]
        count = self.row_counter(at_ms(must_be[-1]))
        must_be = [row for row in must_be if row[:3] not in refused]
        waited(lambda: count() >= len(must_be), within_s)
        found = self.rows()
        found_difference = difference(must_be, until(last, found))
        report.saw(**dict(zip(found_difference._fields[:5], found_difference[:5], strict=True)))
        is_fine = found_difference.is_none if bit_for_bit else found_difference.has_every_row
        report.must(is_fine, f"rows: {found_difference.first}")
        now = datetime.now(UTC).isoformat()
        report.must(all(row[0] <= now for row in found), "a row is in the future")


@contextmanager
def planted() -> Iterator[Plant]:
    """Make a plant, and leave nothing of it behind."""
    with TemporaryDirectory() as folder, server_pair() as servers, ExitStack() as stack:
        servers.start("redis")
        servers.start("database")
        yield Plant(servers, Path(folder).resolve(), stack)


def drained(program: Program, report: Report) -> float:
    """Ask a program to end; say how long it took."""
    began_s = monotonic()
    program.signal(signal.SIGTERM)
    ended = program.finish(DRAIN_WITHIN_S + 10)
    report.must(ended.exit_code == 0, f"exit code {ended.exit_code}")
    report.must(not ended.stderr, f"it complained: {ended.stderr}")
    report.must(not program.all("drain_incomplete"), "something was left")
    return monotonic() - began_s


def since_s(moment_s: float, line: Line) -> float:
    """Say how long after a moment (Unix time) a line was written."""
    return datetime.fromisoformat(line["timestamp"]).timestamp() - moment_s


def _port(url: str) -> int:
    return urlsplit(url).port or 0


def _at(url: str, proxy: Proxy) -> str:
    return url.replace(f":{_port(url)}/", f":{proxy.port}/")
