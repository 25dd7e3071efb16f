"""Every experiment: what must hold, its short form for the tests, its full form for the report."""

from collections.abc import Callable, Sequence
from functools import partial
from subprocess import TimeoutExpired
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from tests.faults import (
    anomaly_faults,
    clock_faults,
    database_faults,
    decision_faults,
    input_faults,
    process_faults,
    redis_faults,
    takeovers,
    webhook_faults,
)
from tests.faults.anomaly_faults import SlowReading
from tests.faults.decision_faults import Rehearsal
from tests.faults.report import Report
from tests.faults.testbed import Testbed, new_testbed
from tests.support.recorded_talk import Talk

T = TypeVar("T")
Run: TypeAlias = Callable[[T, Report], None]


class Experiment(NamedTuple, Generic[T]):
    """One row of the table, on a testbed of some type."""

    name: str
    must_hold: str
    short: Run[T]
    full: Run[T]

    def __str__(self) -> str:
        return self.name


_SILENT: Final = {"silent": database_faults.silent}
_REJECTING: Final = {"read_only": database_faults.read_only, "full": database_faults.full}
_KILL_IN_INCIDENTS: Final = anomaly_faults.kill_in_incidents
_SHORT_READING: Final = SlowReading(Talk(sessions=4, minutes=10), bytes_per_s=300_000)
_FULL_READING: Final = SlowReading(Talk(sessions=8, minutes=25), bytes_per_s=150_000)
_KILL_IN_DECISIONS: Final = decision_faults.kill_in_decisions
_DROPS: Final = Talk(sessions=48, minutes=25)  # one each 5 s
_SHORT_REHEARSAL: Final = Rehearsal(_DROPS, passed_s=420, afterwards_s=6.0)
_FULL_REHEARSAL: Final = Rehearsal(_DROPS, passed_s=600, afterwards_s=130.0)

EXPERIMENTS: Final[Sequence[Experiment[Testbed]]] = (
    Experiment(
        "killed",
        "0 rows missing, 0 different, 0 duplicates",
        partial(process_faults.kill_repeatedly, times=4, longest_s=1.5, deletes_lease=True),
        partial(process_faults.kill_repeatedly, times=20, longest_s=15.0, deletes_lease=False),
    ),
    Experiment(
        "killed-in-incidents",
        "0 anomalies missing, 0 doubled, 0 different, 0 rows missing",
        partial(_KILL_IN_INCIDENTS, times=3, has_standby=False, reading=_SHORT_READING),
        partial(_KILL_IN_INCIDENTS, times=20, has_standby=False, reading=_FULL_READING),
    ),
    Experiment(
        "owner-killed-in-incidents",
        "the standby goes on: 0 anomalies missing, 0 doubled, 0 different, 0 rows missing",
        partial(_KILL_IN_INCIDENTS, times=2, has_standby=True, reading=_SHORT_READING),
        partial(_KILL_IN_INCIDENTS, times=20, has_standby=True, reading=_FULL_READING),
    ),
    Experiment(
        "killed-in-decisions",
        "each action sent once or expired, each trial learnt once, 0 rows missing",
        partial(_KILL_IN_DECISIONS, times=2, has_standby=False, rehearsal=_SHORT_REHEARSAL),
        partial(_KILL_IN_DECISIONS, times=20, has_standby=False, rehearsal=_FULL_REHEARSAL),
    ),
    Experiment(
        "owner-killed-in-decisions",
        "the standby goes on: each action sent once or expired, each trial learnt once",
        partial(_KILL_IN_DECISIONS, times=2, has_standby=True, rehearsal=_SHORT_REHEARSAL),
        partial(_KILL_IN_DECISIONS, times=20, has_standby=True, rehearsal=_FULL_REHEARSAL),
    ),
    Experiment(
        "terminated",
        "exit 0 within 20 s, nothing missing, the next start goes on",
        partial(process_faults.terminate_repeatedly, times=2),
        partial(process_faults.terminate_repeatedly, times=10),
    ),
    Experiment(
        "database-away",
        "0 rows lost, drained within 10 s, memory bounded, updates go on",
        partial(database_faults.stop_database, seconds=5.0, sessions=50),
        partial(database_faults.stop_database_for_long, seconds=600.0, sessions=1000),
    ),
    Experiment(
        "database-away-in-decisions",
        "away for longer than 15 s: nothing is sent until it is back, and nothing twice",
        partial(decision_faults.stop_database_in_decisions, rehearsal=_SHORT_REHEARSAL, seconds=8),
        partial(decision_faults.stop_database_in_decisions, rehearsal=_FULL_REHEARSAL, seconds=60),
    ),
    Experiment(
        "ended-while-database-away",
        "killed, then drained within 20 s: 0 rows lost, the outbox is emptied",
        partial(database_faults.end_during_outage, seconds=1.0),
        partial(database_faults.end_during_outage, seconds=60.0),
    ),
    Experiment(
        "cut-at-commit",
        "0 rows lost, 0 double",
        partial(database_faults.cut_at_commit, times=4),
        partial(database_faults.cut_at_commit, times=20),
    ),
    Experiment(
        "database-silent",
        "detected by our own deadline, 0 rows lost",
        partial(database_faults.reject_writes, failures=_SILENT, seconds=0.0),
        partial(database_faults.reject_writes, failures=_SILENT, seconds=30.0),
    ),
    Experiment(
        "database-rejecting",
        "read-only, full: retried, 0 rows lost",
        partial(database_faults.reject_writes, failures=_REJECTING, seconds=1.0),
        partial(database_faults.reject_writes, failures=_REJECTING, seconds=30.0),
    ),
    Experiment(
        "database-slow",
        "0 rows lost",
        partial(database_faults.slow_down_database, delay_s=0.1, seconds=2.0),
        partial(database_faults.slow_down_database, delay_s=0.5, seconds=30.0),
    ),
    Experiment(
        "rows-refused",
        "those rows are dead letters, all others are stored",
        partial(database_faults.refuse_rows, seconds=1.0),
        partial(database_faults.refuse_rows, seconds=30.0),
    ),
    Experiment(
        "redis-stopped",
        "detected within 5 s, back within 2 s, 0 rows lost, pub/sub gap counted",
        partial(redis_faults.suspend_redis, seconds=6.0),
        partial(redis_faults.suspend_redis, seconds=30.0),
    ),
    Experiment(
        "redis-stopped-in-decisions",
        "for longer than 15 s: what was decided then is not sent, and nothing twice",
        partial(decision_faults.suspend_redis_in_decisions, rehearsal=_SHORT_REHEARSAL, seconds=6),
        partial(decision_faults.suspend_redis_in_decisions, rehearsal=_FULL_REHEARSAL, seconds=45),
    ),
    Experiment(
        "redis-reset",
        "0 rows lost, each pub/sub gap counted",
        partial(redis_faults.reset_connections, times=4),
        partial(redis_faults.reset_connections, times=20),
    ),
    Experiment(
        "redis-silent",
        "half-open: detected within 5 s, back within 2 s, 0 rows lost, gap counted",
        partial(redis_faults.silence_connections, seconds=6.0),
        partial(redis_faults.silence_connections, seconds=30.0),
    ),
    Experiment(
        "redis-overflowed",
        "subscription closed for its output buffer: a gap is counted, 0 rows lost",
        partial(redis_faults.overflow_output_buffer, times=1),
        partial(redis_faults.overflow_output_buffer, times=5),
    ),
    Experiment(
        "duplicated",
        "each event twice, out of order: messages counted once, no count negative",
        partial(input_faults.duplicate_events, seconds=5.0),
        partial(input_faults.duplicate_events, seconds=120.0),
    ),
    Experiment(
        "poisoned",
        "the event is a dead letter, no session lacks a row, no other session fails",
        partial(input_faults.send_poison_events, times=2),
        partial(input_faults.send_poison_events, times=3),
    ),
    Experiment(
        "wall-clock-set",
        "the program's clock an hour back and forth: ticks go on, no row in the future",
        partial(input_faults.set_wall_clock, rounds=1),
        partial(input_faults.set_wall_clock, rounds=10),
    ),
    Experiment(
        "redis-clock-set-back",
        "Redis' clock an hour back and right again: no tick missing, no row in the future",
        partial(input_faults.set_redis_clock_back, seconds=3.0),
        partial(input_faults.set_redis_clock_back, seconds=60.0),
    ),
    Experiment(
        "redis-clock-set-ahead",
        "Redis' clock 20 minutes ahead and right again: ticks go on, rows marked or a replay's",
        partial(clock_faults.set_redis_clock_ahead, seconds=3.0),
        partial(clock_faults.set_redis_clock_ahead, seconds=50.0),
    ),
    Experiment(
        "ids-in-microseconds",
        "one id in the future, and so all later ones: events count, rows marked or a replay's",
        partial(clock_faults.send_ids_in_microseconds, seconds=13.0),
        partial(clock_faults.send_ids_in_microseconds, seconds=60.0),
    ),
    Experiment(
        "caught-up",
        "an hour's events at full speed, memory bounded, no tick missing",
        partial(input_faults.catch_up_an_hour, sessions=5, speed=0.5),
        partial(input_faults.catch_up_an_hour, sessions=100, speed=1.0),
    ),
    Experiment(
        "trimmed",
        "entries trimmed unread are counted, and rows are marked",
        partial(input_faults.trim_streams, seconds=1.0),
        partial(input_faults.trim_streams, seconds=60.0),
    ),
    Experiment(
        "owner-killed",
        "the standby takes over within 10 s, 0 rows lost, one writer at any time",
        partial(takeovers.kill_owner, takeovers=1),
        partial(takeovers.kill_owner, takeovers=5),
    ),
    Experiment(
        "owner-suspended",
        "an owner that resumes after a takeover changes nothing, and ends",
        partial(takeovers.suspend_owner, suspended_for_s=0.0),
        partial(takeovers.suspend_owner, suspended_for_s=60.0),
    ),
    Experiment(
        "webhooks-killed",
        "killed while a webhook has an unanswered event: 0 events lost, each key one event",
        partial(webhook_faults.kill_in_deliveries, times=1),
        partial(webhook_faults.kill_in_deliveries, times=20),
    ),
    Experiment(
        "webhook-away",
        "a receiver that was away gets every event once, those of a session in order",
        partial(webhook_faults.stop_receiver, seconds=3.0),
        partial(webhook_faults.stop_receiver, seconds=60.0),
    ),
)


def run_experiment(run: Run[Testbed], time_factor: float = 1.0) -> Report:
    """Run an experiment on a testbed of its own."""
    with new_testbed() as testbed:
        return run_on(testbed, run, time_factor)


def run_on(testbed: T, run: Run[T], time_factor: float = 1.0) -> Report:
    """Run an experiment; a timeout is a broken promise."""
    report = Report(time_factor)
    try:
        run(testbed, report)
    except (AssertionError, TimeoutError, TimeoutExpired) as error:
        report.broken.append(str(error))
    return report
