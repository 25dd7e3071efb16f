"""Every experiment: what must hold, its short form for every day, its full form for the report."""

from collections.abc import Callable
from functools import partial
from subprocess import TimeoutExpired
from typing import Final, NamedTuple, TypeAlias

from tests.faults import database_faults, endings, inputs, ownership, redis_faults
from tests.faults.plant import Plant, planted
from tests.faults.report import Report

Run: TypeAlias = Callable[[Plant, Report], None]


class Experiment(NamedTuple):
    """One line of the table."""

    name: str
    must_hold: str
    short: Run
    full: Run

    def __str__(self) -> str:
        return self.name


_SILENT: Final = {"silent": database_faults.silent}
_UNWILLING: Final = {"read_only": database_faults.read_only, "full": database_faults.full}

EXPERIMENTS: Final = (
    Experiment(
        "killed",
        "0 rows missing, 0 different, 0 duplicates",
        partial(endings.killed, times=4, longest_s=1.5, buried=True),
        partial(endings.killed, times=20, longest_s=15.0, buried=False),
    ),
    Experiment(
        "terminated",
        "exit 0 within 20 s, nothing missing, the next start goes on",
        partial(endings.terminated, times=2),
        partial(endings.terminated, times=10),
    ),
    Experiment(
        "database-away",
        "0 rows lost, drained within 10 s, memory bounded, updates go on",
        partial(database_faults.away, seconds=5.0, sessions=50),
        partial(database_faults.away_for_long, seconds=600.0, sessions=1000),
    ),
    Experiment(
        "ended-while-database-away",
        "killed, and drained within 20 s: 0 rows lost, the outbox is emptied",
        partial(database_faults.ended_while_away, seconds=1.0),
        partial(database_faults.ended_while_away, seconds=60.0),
    ),
    Experiment(
        "cut-at-commit",
        "0 rows lost, 0 double",
        partial(database_faults.cut_at_commit, times=4),
        partial(database_faults.cut_at_commit, times=20),
    ),
    Experiment(
        "database-silent",
        "found out by our own deadline, 0 rows lost",
        partial(database_faults.moody, moods=_SILENT, seconds=0.0),
        partial(database_faults.moody, moods=_SILENT, seconds=30.0),
    ),
    Experiment(
        "database-unwilling",
        "read-only, full: tried again, 0 rows lost",
        partial(database_faults.moody, moods=_UNWILLING, seconds=1.0),
        partial(database_faults.moody, moods=_UNWILLING, seconds=30.0),
    ),
    Experiment(
        "database-slow",
        "0 rows lost",
        partial(database_faults.slow, delay_s=0.1, seconds=2.0),
        partial(database_faults.slow, delay_s=0.5, seconds=30.0),
    ),
    Experiment(
        "rows-refused",
        "those rows are dead letters, all others are stored",
        partial(database_faults.refusing, seconds=1.0),
        partial(database_faults.refusing, seconds=30.0),
    ),
    Experiment(
        "redis-stopped",
        "found within 5 s, back within 2 s, 0 rows lost, pub/sub gap counted",
        partial(redis_faults.stopped, seconds=6.0),
        partial(redis_faults.stopped, seconds=30.0),
    ),
    Experiment(
        "redis-reset",
        "0 rows lost, each pub/sub gap counted",
        partial(redis_faults.reset, times=4),
        partial(redis_faults.reset, times=20),
    ),
    Experiment(
        "redis-silent",
        "half-open: found within 5 s, back within 2 s, 0 rows lost, gap counted",
        partial(redis_faults.silent, seconds=6.0),
        partial(redis_faults.silent, seconds=30.0),
    ),
    Experiment(
        "redis-overflowed",
        "subscription closed for its output buffer: a gap is counted, 0 rows lost",
        partial(redis_faults.overflowed, times=1),
        partial(redis_faults.overflowed, times=5),
    ),
    Experiment(
        "doubled",
        "everything twice, in disorder: messages counted once, no count negative",
        partial(inputs.doubled, seconds=5.0),
        partial(inputs.doubled, seconds=120.0),
    ),
    Experiment(
        "poisoned",
        "that event is a dead letter, its session's rows are all there, nobody else notices",
        partial(inputs.poisoned, doses=2),
        partial(inputs.poisoned, doses=3),
    ),
    Experiment(
        "wall-clock-set",
        "the program's own clock an hour back and forth: ticks go on, no row in the future",
        partial(inputs.wall_clock_set, rounds=1),
        partial(inputs.wall_clock_set, rounds=10),
    ),
    Experiment(
        "redis-clock-set-back",
        "Redis' clock an hour back and right again: no tick left out, no row in the future",
        partial(inputs.redis_clock_back, seconds=3.0),
        partial(inputs.redis_clock_back, seconds=60.0),
    ),
    Experiment(
        "caught-up",
        "an hour's events at full speed, memory bounded, no tick left out",
        partial(inputs.caught_up, sessions=5, speed=0.5),
        partial(inputs.caught_up, sessions=100, speed=1.0),
    ),
    Experiment(
        "trimmed",
        "entries that were trimmed unread are counted, and rows tell of it",
        partial(inputs.trimmed, seconds=1.0),
        partial(inputs.trimmed, seconds=60.0),
    ),
    Experiment(
        "owner-killed",
        "the standby takes over within 10 s, 0 rows lost, one writer at any time",
        partial(ownership.killed, takeovers=1),
        partial(ownership.killed, takeovers=5),
    ),
    Experiment(
        "owner-woken",
        "stopped, overtaken and woken it changes nothing more, and ends",
        partial(ownership.woken, asleep_s=0.0),
        partial(ownership.woken, asleep_s=60.0),
    ),
)


def ran(run: Run, patience: float = 1.0) -> Report:
    """Run an experiment in a plant of its own; what it waited for in vain is a broken promise."""
    report = Report(patience)
    with planted() as plant:
        try:
            run(plant, report)
        except (AssertionError, TimeoutError, TimeoutExpired) as error:
            report.broken.append(str(error))
    return report
