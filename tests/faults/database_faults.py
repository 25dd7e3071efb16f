"""The database dies, falls silent, slows down, refuses: scores go on, and no row is lost."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import cycle, islice
from threading import Event
from time import monotonic, time
from typing import Final, TypeAlias

from conductor_actors.domain.identity import SessionKey
from conductor_actors.instants import to_iso
from tests.faults.oracle import at_ms
from tests.faults.plant import DRAIN_WITHIN_S, UNHURRIED, Plant, drained, since_s
from tests.faults.proxy import Barrier, Way
from tests.faults.report import Report
from tests.faults.samples import memory_mb, pause, sampled, updates, waited
from tests.faults.traffic import SOMEBODY, Simulated, flowing
from tests.support.programs import Program, Row

NOTICED_WITHIN_S: Final = 15.0
DRAINED_WITHIN_S: Final = 10.0
PATIENCE_S: Final = 45.0
MORE_MEMORY_MB: Final = 200.0
COUNT_EVERY_S: Final = 0.25
COPY_DONE: Final = b"c\0\0\0\4"  # of the protocol between client and server

Mood: TypeAlias = Callable[[Plant], AbstractContextManager[None]]


def away_for_long(plant: Plant, report: Report, seconds: float, sessions: int) -> None:
    """Let it be gone with settings and events as they are in real life."""
    plant.variables |= UNHURRIED
    away(plant, report, seconds, sessions, speed=0.25)


def away(
    plant: Plant, report: Report, seconds: float, sessions: int, *, speed: float = 4.0
) -> None:
    """Let the database be gone: connections end, and new ones are refused."""
    with flowing(plant.redis_url, Simulated(sessions, speed)):
        program = plant.started()
        program.wait_for("tick_completed", deadline_s=60, sessions=sessions)
        program.wait_for("batch_written")
        with sampled(memory_mb(program)) as memory, updates(plant.redis_url) as heard:
            pause(2 * plant.tick_s)
            gone_s = monotonic()
            plant.database.go_away()
            pause(seconds)
            back_ms, back_s = int(time() * 1000), monotonic()
            with sampled(plant.row_counter(back_ms), COUNT_EVERY_S) as counts:
                plant.database.heal()
                owed = sum(at_ms(row) <= back_ms for row in plant.replayed())
                waited(lambda: counts.first_s(lambda count: count >= owed) < monotonic(), 60)
    drained_s = counts.first_s(lambda count: count >= owed)
    before_mb = max(memory.between(0, gone_s))
    most_mb = max(memory.between(gone_s, drained_s))
    report.saw(down_s=seconds, sessions=sessions, before_mb=before_mb, most_mb=most_mb)
    report.within("drained", drained_s - back_s, DRAINED_WITHIN_S)
    report.must(most_mb < before_mb + MORE_MEMORY_MB, f"memory grew to {most_mb} MB")
    silence_s = heard.longest_silence_s(gone_s, back_s)
    report.within("longest_silence_of_updates", silence_s, plant.tick_s + 1.5)
    plant.settle(report)


def ended_while_away(plant: Plant, report: Report, seconds: float) -> None:
    """Kill the program while the database is away, and then ask one to end while it is."""
    with flowing(plant.redis_url, Simulated(20, speed=10.0)):
        _ended_while_away(plant, seconds).kill()
        report.saw(set_aside_when_killed=plant.set_aside())
        plant.bury()
        plant.database.heal()
        report.within("drain", drained(_ended_while_away(plant, seconds), report), DRAIN_WITHIN_S)
        report.saw(set_aside_when_drained=plant.set_aside())
        plant.database.heal()
        plant.started().wait_for("batch_written")
    plant.settle(report)
    report.must(plant.set_aside() == 0, "rows are left in the outbox")


def _ended_while_away(plant: Plant, seconds: float) -> Program:
    program = plant.started()
    program.wait_for("batch_written")
    plant.database.go_away()
    program.wait_for("outage_began", service="database")
    pause(seconds)
    return program


def cut_at_commit(plant: Plant, report: Report, times: int) -> None:
    """Cut the connection before a commit, after it, before its answer; or crash the server."""
    with flowing(plant.redis_url, Simulated(50, speed=10.0)):
        program = plant.started()
        traps = (_before, _after, _unanswered, _crashing(plant))
        for number, trap in enumerate(islice(cycle(traps), times)):
            program.wait_for("batch_written")
            plant.database.filter = sprung = trap()
            report.must(sprung.wait(NOTICED_WITHIN_S), "there was no commit")
            if number % len(traps) == 3:
                plant.restart_database()
            program.wait_for("outage_ended", PATIENCE_S, service="database")
    report.saw(cuts=times, of_these_crashes=times // len(traps))
    plant.settle(report)


def moody(plant: Plant, report: Report, moods: Mapping[str, Mood], seconds: float) -> None:
    """Let the database live, and yet take no row for a while."""
    with flowing(plant.redis_url, Simulated(20, speed=10.0)):
        program = plant.started()
        for name, mood in moods.items():
            program.wait_for("batch_written")
            began_at_s = time()
            with mood(plant):
                began = program.wait_for("outage_began", PATIENCE_S, service="database")
                report.within(f"{name}_noticed", since_s(began_at_s, began), NOTICED_WITHIN_S)
                pause(seconds)
            over_at_s = time()
            ended = program.wait_for("outage_ended", PATIENCE_S, service="database")
            report.saw(**{f"{name}_back_s": round(since_s(over_at_s, ended), 2)})
    plant.settle(report)


def slow(plant: Plant, report: Report, delay_s: float, seconds: float) -> None:
    """Let every piece to and from the database take its time."""
    with flowing(plant.redis_url, Simulated(20, speed=10.0)):
        program = plant.started()
        program.wait_for("batch_written")
        plant.database.slow_down(delay_s)
        pause(seconds)
        batch = program.wait_for("batch_written")
        report.saw(delay_s=delay_s, batch_took_s=batch["duration_s"])
        plant.database.heal()
    report.must(not program.all("outage_began"), "slow was taken for away")
    plant.settle(report)


def refusing(plant: Plant, report: Report, seconds: float) -> None:
    """Let the database refuse the rows of one session."""
    with flowing(plant.redis_url, Simulated(20, speed=10.0)):
        program = plant.started()
        program.wait_for("batch_written")
        with _raising(plant, "23514", f"WHEN (new.session_id = '{SOMEBODY}')"):
            program.wait_for("rows_refused")
            pause(seconds)
        program.wait_for("batch_written")
        refused = sum(line["rows"] for line in program.all("rows_refused"))
        waited(lambda: len(plant.dead_letters()) >= refused, PATIENCE_S)
    letters = {_key(letter) for letter in plant.dead_letters()}
    report.must(not program.all("outage_began"), "a refused row was taken for an outage")
    report.saw(dead_letters=len(letters))
    report.must(bool(letters), "there are no dead letters")
    plant.settle(report, refused=letters)


class Trap:
    """A filter that acts once: on what commits on its way, or on the answer to it.

    That is a COMMIT, or the end of a COPY of rows, which has no transaction around it.
    """

    def __init__(self, way: Way, act: Callable[[bytes], bytes]) -> None:
        self._way = way
        self._act = act
        self._asked = Event()
        self._sprung = Event()
        self._ends: tuple[bytes, ...] = ()
        self.wait = self._sprung.wait

    def __call__(self, way: Way, piece: bytes) -> bytes:
        if way is Way.REQUEST and b"COPY " in piece:
            self._ends = (COPY_DONE,) if b"COPY engagement_metrics" in piece else ()
        if way is Way.REQUEST and (b"COMMIT" in piece or piece.endswith(self._ends)):
            self._asked.set()
        if way is not self._way or not self._asked.is_set() or self._sprung.is_set():
            return piece
        self._sprung.set()
        return self._act(piece)


def _before() -> Trap:
    return Trap(Way.REQUEST, _lose)


def _after() -> Trap:
    return Trap(Way.REQUEST, _deliver)


def _unanswered() -> Trap:
    return Trap(Way.ANSWER, _lose)


def _crashing(plant: Plant) -> Callable[[], Trap]:
    def crash(piece: bytes) -> bytes:
        plant.crash_database()
        return piece

    return lambda: Trap(Way.REQUEST, crash)


def _lose(_: bytes) -> bytes:
    raise Barrier


def _deliver(piece: bytes) -> bytes:
    raise Barrier(piece)


@contextmanager
def silent(plant: Plant) -> Iterator[None]:
    """It accepts, and never answers."""
    plant.database.fall_silent()
    yield
    plant.database.heal()


@contextmanager
def read_only(plant: Plant) -> Iterator[None]:
    """It has become a standby."""
    set_to = "ALTER DATABASE conductor SET default_transaction_read_only = {}"
    plant.sql(set_to.format("on"))
    plant.database.reset()
    yield
    plant.sql(set_to.format("off"))


@contextmanager
def full(plant: Plant) -> Iterator[None]:
    """Its disk is full."""
    with _raising(plant, "53100", ""):
        yield


@contextmanager
def _raising(plant: Plant, sqlstate: str, condition: str) -> Iterator[None]:
    """Refuse rows with an error, by a trigger."""
    plant.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" RAISE EXCEPTION 'refused by the experiment' USING ERRCODE = '{sqlstate}'; END $$"
    )
    plant.sql(
        "CREATE TRIGGER refuse BEFORE INSERT ON engagement_metrics"
        f" FOR EACH ROW {condition} EXECUTE FUNCTION refuse()"
    )
    yield
    plant.sql("DROP FUNCTION refuse CASCADE")


def _key(letter: dict[str, str]) -> Row:
    tenant_id, session_id = SessionKey.parse(letter["source"].removeprefix("row:"))
    at_ms = int(letter["entry_id"].partition("-")[0])
    return to_iso(at_ms, utc="+00:00"), tenant_id, session_id
