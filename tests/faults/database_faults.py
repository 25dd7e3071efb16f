"""The database dies, hangs, slows down or refuses rows: scoring goes on, and no row is lost."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import cycle, islice
from threading import Event
from time import monotonic, time
from typing import Final, TypeAlias

from conductor_actors.domain.identity import SessionKey
from conductor_actors.instants import to_iso
from tests.faults.oracle import at_ms
from tests.faults.proxy import CutConnection, Direction
from tests.faults.report import Report
from tests.faults.samples import memory_mb, pause, sampling, updates
from tests.faults.testbed import DEFAULT_INTERVALS, DRAIN_WITHIN_S, Testbed, drain, since_s
from tests.faults.traffic import SIMULATED_SESSION, Simulated, sending_events
from tests.support.programs import Program, Row
from tests.support.waiting import becomes_true

NOTICED_WITHIN_S: Final = 15.0
DRAINED_WITHIN_S: Final = 10.0
PATIENCE_S: Final = 45.0
MAX_MEMORY_GROWTH_MB: Final = 200.0
COUNT_INTERVAL_S: Final = 0.25

Failure: TypeAlias = Callable[[Testbed], AbstractContextManager[None]]


def stop_database_for_long(testbed: Testbed, report: Report, seconds: float, sessions: int) -> None:
    """Stop the database under the default settings and realistic traffic."""
    testbed.variables |= DEFAULT_INTERVALS
    stop_database(testbed, report, seconds, sessions, speed=0.25)


def stop_database(
    testbed: Testbed, report: Report, seconds: float, sessions: int, *, speed: float = 4.0
) -> None:
    """Stop the database: its connections end, and it refuses new ones."""
    with sending_events(testbed.redis_url, Simulated(sessions, speed)):
        program = testbed.start_and_wait()
        program.wait_for("tick_completed", deadline_s=60, sessions=sessions)
        program.wait_for("batch_written")
        with sampling(memory_mb(program)) as memory, updates(testbed.redis_url) as heard:
            pause(2 * testbed.tick_s)
            gone_s = monotonic()
            testbed.database.stop_and_reset()
            pause(seconds)
            back_ms, back_s = int(time() * 1000), monotonic()
            with sampling(testbed.row_counter(back_ms), COUNT_INTERVAL_S) as counts:
                testbed.database.heal()
                owed = sum(at_ms(row) <= back_ms for row in testbed.replayed())
                becomes_true(lambda: counts.first_s(lambda count: count >= owed) < monotonic(), 60)
    drained_s = counts.first_s(lambda count: count >= owed)
    before_mb = max(memory.between(0, gone_s))
    most_mb = max(memory.between(gone_s, drained_s))
    report.record(down_s=seconds, sessions=sessions, before_mb=before_mb, most_mb=most_mb)
    report.within("drained", drained_s - back_s, DRAINED_WITHIN_S)
    report.require(most_mb < before_mb + MAX_MEMORY_GROWTH_MB, f"memory grew to {most_mb} MB")
    silence_s = heard.longest_silence_s(gone_s, back_s)
    report.within("longest_silence_of_updates", silence_s, testbed.tick_s + 1.5)
    testbed.settle(report)


def end_during_outage(testbed: Testbed, report: Report, seconds: float) -> None:
    """Kill a program during an outage of the database, and terminate the next one."""
    with sending_events(testbed.redis_url, Simulated(20, speed=10.0)):
        _start_and_stop_database(testbed, seconds).kill()
        report.record(outbox_when_killed=testbed.outbox_length())
        testbed.delete_lease()
        testbed.database.heal()
        report.within(
            "drain", drain(_start_and_stop_database(testbed, seconds), report), DRAIN_WITHIN_S
        )
        report.record(outbox_when_drained=testbed.outbox_length())
        testbed.database.heal()
        testbed.start_and_wait().wait_for("batch_written")
    testbed.settle(report)
    report.require(testbed.outbox_length() == 0, "rows are left in the outbox")


def _start_and_stop_database(testbed: Testbed, seconds: float) -> Program:
    program = testbed.start_and_wait()
    program.wait_for("batch_written")
    testbed.database.stop_and_reset()
    program.wait_for("outage_began", service="database")
    pause(seconds)
    return program


def cut_at_commit(testbed: Testbed, report: Report, times: int) -> None:
    """Cut the connection before a commit, after it or before its reply, or crash the server."""
    with sending_events(testbed.redis_url, Simulated(50, speed=10.0)):
        program = testbed.start_and_wait()
        traps = (_before_commit, _after_commit, _before_response, _crashing(testbed))
        for number, new_trap in enumerate(islice(cycle(traps), times)):
            program.wait_for("batch_written")
            testbed.database.filter = trap = new_trap()
            report.require(trap.wait(NOTICED_WITHIN_S), "there was no commit")
            if number % len(traps) == 3:
                testbed.restart_database()
            program.wait_for("outage_ended", PATIENCE_S, service="database")
    report.record(cuts=times, of_these_crashes=times // len(traps))
    testbed.settle(report)


def reject_writes(
    testbed: Testbed, report: Report, failures: Mapping[str, Failure], seconds: float
) -> None:
    """Keep the database running, but let it accept no row for a while."""
    with sending_events(testbed.redis_url, Simulated(20, speed=10.0)):
        program = testbed.start_and_wait()
        for name, failure in failures.items():
            program.wait_for("batch_written")
            began_at_s = time()
            with failure(testbed):
                began = program.wait_for("outage_began", PATIENCE_S, service="database")
                report.within(f"{name}_noticed", since_s(began_at_s, began), NOTICED_WITHIN_S)
                pause(seconds)
            over_at_s = time()
            ended = program.wait_for("outage_ended", PATIENCE_S, service="database")
            report.record(**{f"{name}_back_s": round(since_s(over_at_s, ended), 2)})
    testbed.settle(report)


def slow_down_database(testbed: Testbed, report: Report, delay_s: float, seconds: float) -> None:
    """Delay all data to and from the database."""
    with sending_events(testbed.redis_url, Simulated(20, speed=10.0)):
        program = testbed.start_and_wait()
        program.wait_for("batch_written")
        testbed.database.slow_down(delay_s)
        pause(seconds)
        batch = program.wait_for("batch_written")
        report.record(delay_s=delay_s, batch_took_s=batch["duration_s"])
        testbed.database.heal()
    report.require(not program.all("outage_began"), "a slow database was reported as an outage")
    testbed.settle(report)


def refuse_rows(testbed: Testbed, report: Report, seconds: float) -> None:
    """Refuse the rows of one session."""
    with sending_events(testbed.redis_url, Simulated(20, speed=10.0)):
        program = testbed.start_and_wait()
        program.wait_for("batch_written")
        with _raising_trigger(testbed, "23514", f"WHEN (new.session_id = '{SIMULATED_SESSION}')"):
            program.wait_for("rows_refused")
            pause(seconds)
        program.wait_for("batch_written")
        refused = sum(line["rows"] for line in program.all("rows_refused"))
        becomes_true(lambda: len(testbed.dead_letters()) >= refused, PATIENCE_S)
    letters = {_key(letter) for letter in testbed.dead_letters()}
    report.require(not program.all("outage_began"), "a refused row was reported as an outage")
    report.record(dead_letters=len(letters))
    report.require(bool(letters), "there are no dead letters")
    testbed.settle(report, refused=letters)


class Trap:
    """A filter that acts once: on a commit, or on the reply to it.

    A commit is the COMMIT after rows were sent.
    """

    def __init__(self, direction: Direction, act: Callable[[bytes], bytes]) -> None:
        self._direction = direction
        self._act = act
        self._commit_sent = Event()
        self._acted = Event()
        self._has_rows = False
        self.wait = self._acted.wait

    def __call__(self, direction: Direction, chunk: bytes) -> bytes:
        if direction is Direction.REQUEST and (
            b"COPY " in chunk or b"INSERT INTO engagement" in chunk
        ):
            self._has_rows = True
        if direction is Direction.REQUEST and self._has_rows and b"COMMIT" in chunk:
            self._commit_sent.set()
        if (
            direction is not self._direction
            or not self._commit_sent.is_set()
            or self._acted.is_set()
        ):
            return chunk
        self._acted.set()
        return self._act(chunk)


def _before_commit() -> Trap:
    return Trap(Direction.REQUEST, _cut_before)


def _after_commit() -> Trap:
    return Trap(Direction.REQUEST, _cut_after)


def _before_response() -> Trap:
    return Trap(Direction.RESPONSE, _cut_before)


def _crashing(testbed: Testbed) -> Callable[[], Trap]:
    def crash(chunk: bytes) -> bytes:
        testbed.crash_database()
        return chunk

    return lambda: Trap(Direction.REQUEST, crash)


def _cut_before(_: bytes) -> bytes:
    raise CutConnection


def _cut_after(chunk: bytes) -> bytes:
    raise CutConnection(chunk)


@contextmanager
def silent(testbed: Testbed) -> Iterator[None]:
    """Accept connections, and never answer."""
    testbed.database.fall_silent()
    yield
    testbed.database.heal()


@contextmanager
def read_only(testbed: Testbed) -> Iterator[None]:
    """Refuse writes, as a standby does."""
    set_to = "ALTER DATABASE conductor SET default_transaction_read_only = {}"
    testbed.sql(set_to.format("on"))
    testbed.database.reset()
    yield
    testbed.sql(set_to.format("off"))


@contextmanager
def full(testbed: Testbed) -> Iterator[None]:
    """Refuse writes, as with a full disk."""
    with _raising_trigger(testbed, "53100", ""):
        yield


@contextmanager
def _raising_trigger(testbed: Testbed, sqlstate: str, condition: str) -> Iterator[None]:
    """Refuse rows with an error, by a trigger."""
    testbed.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" RAISE EXCEPTION 'refused by the experiment' USING ERRCODE = '{sqlstate}'; END $$"
    )
    testbed.sql(
        "CREATE TRIGGER refuse BEFORE INSERT ON engagement_metrics"
        f" FOR EACH ROW {condition} EXECUTE FUNCTION refuse()"
    )
    yield
    testbed.sql("DROP FUNCTION refuse CASCADE")


def _key(letter: dict[str, str]) -> Row:
    tenant_id, session_id = SessionKey.parse(letter["source"].removeprefix("row:"))
    at_ms = int(letter["entry_id"].partition("-")[0])
    return to_iso(at_ms, utc="+00:00"), tenant_id, session_id
