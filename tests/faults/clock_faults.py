"""Time that runs ahead: Redis' clock, and the ids that producers give their entries."""

import json
from datetime import UTC, datetime
from itertools import count
from threading import Event, Thread
from time import monotonic, time

from tests.faults.clocks import RedisClock
from tests.faults.input_faults import require_every_tick
from tests.faults.oracle import difference
from tests.faults.report import Report
from tests.faults.samples import pause
from tests.faults.testbed import Testbed
from tests.faults.traffic import SIMULATED_SESSION, Simulated, add, sending_events
from tests.support.event_samples import REACTION
from tests.support.programs import rows_until, select_rows

AHEAD_S = 1200.0
AFTER_S = 12.0  # of traffic, after the clock is right again: more than a window
OTHER_TENANT = "acme"


def set_redis_clock_ahead(testbed: Testbed, report: Report, seconds: float) -> None:
    """Set the clock of Redis 20 minutes ahead, and right again; another tenant has own ids."""
    clock = RedisClock()
    testbed.redis.filter = clock
    testbed.variables |= {"CONDUCTOR_TENANTS": OTHER_TENANT}
    stop = Event()
    other = Thread(target=_send_reactions, args=(testbed, stop))
    with sending_events(testbed.redis_url, Simulated(12, speed=10.0), clock.entry_id):
        program = testbed.start_and_wait()
        other.start()
        program.wait_for("batch_written")
        clock.ahead_s = AHEAD_S
        pause(seconds)
        clock.ahead_s = 0
        right_s = monotonic()
        program.wait_for("tick_completed")
        report.within("ticks_again", monotonic() - right_s, 2.5)
        pause(AFTER_S)
    stop.set()
    other.join()
    _require_marks_or_equal_rows(testbed, report, other_tenant=True)
    for event in ("redis_clock_stepped", "redis_clock_trusted", "entries_ahead"):
        report.require(bool(program.all(event)), f"no line {event}")


def send_ids_in_microseconds(testbed: Testbed, report: Report, seconds: float) -> None:
    """Add one entry whose id counts microseconds: all later ids of its stream are ahead, too."""
    event = json.dumps({"sessionId": SIMULATED_SESSION, "userId": "ada"}).encode()
    with sending_events(testbed.redis_url, Simulated(12, speed=10.0)):
        program = testbed.start_and_wait()
        program.wait_for("batch_written")
        add(testbed.client, [(REACTION, event)], f"{int(time() * 1e6)}-*")
        invalid = testbed.client.xadd(REACTION, {"data": b"no event"})
        pause(seconds)
    letters = [letter["entry_id"] for letter in testbed.dead_letters()]
    report.require(letters == [invalid.decode()], f"dead letters {letters}, not {invalid!r}")
    _require_marks_or_equal_rows(testbed, report, other_tenant=False)


def _send_reactions(testbed: Testbed, stop: Event) -> None:
    for number in count():
        if stop.wait(0.1):
            return
        event = json.dumps({"sessionId": "other", "userId": f"user-{number % 7}"}).encode()
        add(testbed.client, [(f"{OTHER_TENANT}:{REACTION}", event)])


def _require_marks_or_equal_rows(testbed: Testbed, report: Report, *, other_tenant: bool) -> None:
    """Check that ticks went on, that events count, and that unmarked rows are a replay's."""
    require_every_tick(testbed, report)
    expected = testbed.replayed()
    last = expected[-1][0]
    rows = rows_until(last, testbed.rows())
    unmarked = rows_until(last, select_rows(testbed.database_url, only_unmarked=True))
    keys = {row[:3] for row in unmarked}
    report.record(rows=len(rows), marked=len(rows) - len(unmarked))
    report.require(len(rows) > len(unmarked), "no row is marked")
    unlike = difference([row for row in expected if row[:3] in keys], unmarked)
    report.record(unmarked_unlike_a_replay=unlike.different + unlike.missing + unlike.unexpected)
    report.require(unlike.is_none, f"unmarked rows: {unlike.first}")
    newest = max(row[0] for row in testbed.rows())
    report.require(newest <= datetime.now(UTC).isoformat(), f"a row is in the future: {newest}")
    at_the_end = [row for row in rows if row[0] == rows[-1][0] and row[1] != OTHER_TENANT]
    report.require(any(float(row[10]) > 0 for row in at_the_end), "no reaction counts at the end")
    if other_tenant:
        others = [row for row in rows if row[1] == OTHER_TENANT]
        marked = [row for row in others if row[:3] not in keys]
        report.record(rows_of_other_tenant=len(others))
        report.require(bool(others) and not marked, f"marked: {marked[:1]}")
