"""Redis stops, cuts connections or closes a slow one: nothing in a stream is lost."""

import signal
from time import time
from typing import Final

from tests.faults.report import Report
from tests.faults.samples import pause
from tests.faults.testbed import Testbed, since_s
from tests.faults.traffic import Simulated, sending_events
from tests.support.event_samples import LIVE
from tests.support.programs import Program
from tests.support.waiting import becomes_true

DETECTED_WITHIN_S: Final = 5.0
BACK_WITHIN_S: Final = 2.0
PATIENCE_S: Final = 15.0
EVENTS: Final = "redis events"
LARGE: Final = b"x" * 1_000_000


def suspend_redis(testbed: Testbed, report: Report, seconds: float) -> None:
    """Suspend the process of Redis: every connection stays, none answers."""
    with sending_events(testbed.redis_url, Simulated(20, speed=10.0)):
        program = testbed.start_and_wait()
        program.wait_for("batch_written")
        with testbed.redis_suspended():
            stopped_at_s = time()
            began = program.wait_for("outage_began", service=EVENTS)
            report.within("detected", since_s(stopped_at_s, began), DETECTED_WITHIN_S)
            pause(stopped_at_s + seconds - time())
        back_at_s = time()
        ended = program.wait_for("outage_ended", PATIENCE_S, service=EVENTS)
        report.within("back", since_s(back_at_s, ended), BACK_WITHIN_S)
        program.wait_for("batch_written")
    _require_gaps(program, report, at_least=1)
    report.require(len(testbed.programs) == 1 and not program.has_ended, "it ended")
    testbed.settle(report)


def reset_connections(testbed: Testbed, report: Report, times: int) -> None:
    """Reset every connection to Redis, again and again."""
    with sending_events(testbed.redis_url, Simulated(20, speed=10.0)):
        program = testbed.start_and_wait()
        for _ in range(times):
            program.wait_for("batch_written")
            testbed.redis.reset()
            reset_at_s = time()
            gap = program.wait_for("gap_detected", reason="reconnected")
            report.within("back", since_s(reset_at_s, gap), BACK_WITHIN_S)
    report.record(resets=times)
    _require_gaps(program, report, at_least=times)
    testbed.settle(report)


def silence_connections(testbed: Testbed, report: Report, seconds: float) -> None:
    """Drop every packet: both ends keep half-open connections."""
    with sending_events(testbed.redis_url, Simulated(20, speed=10.0)):
        program = testbed.start_and_wait()
        program.wait_for("batch_written")
        silent_at_s = time()
        testbed.redis.fall_silent()
        began = program.wait_for("outage_began", service=EVENTS)
        report.within("detected", since_s(silent_at_s, began), DETECTED_WITHIN_S)
        pause(silent_at_s + seconds - time())
        testbed.redis.heal()
        back_at_s = time()
        ended = program.wait_for("outage_ended", PATIENCE_S, service=EVENTS)
        report.within("back", since_s(back_at_s, ended), BACK_WITHIN_S)
        program.wait_for("batch_written")
    _require_gaps(program, report, at_least=1)
    testbed.settle(report)


def overflow_output_buffer(testbed: Testbed, report: Report, times: int) -> None:
    """Make Redis close the subscription of a program that does not read."""
    testbed.client.config_set("client-output-buffer-limit", "pubsub 1mb 1mb 1")
    with sending_events(testbed.redis_url, Simulated(20, speed=10.0)):
        program = testbed.start_and_wait()
        for _ in range(times):
            program.wait_for("batch_written")
            program.signal(signal.SIGSTOP)
            try:
                _flood(testbed, report)
            finally:
                program.signal(signal.SIGCONT)
            program.wait_for("gap_detected", reason="reconnected")
    report.record(overflows=times)
    _require_gaps(program, report, at_least=times)
    testbed.settle(report)


def _flood(testbed: Testbed, report: Report) -> None:
    """Publish large messages until Redis has closed the subscription."""

    def is_closed() -> bool:
        for _ in range(5):
            testbed.client.publish(LIVE, LARGE)
        [(_, listeners)] = testbed.client.pubsub_numsub(LIVE)
        return not listeners

    report.require(becomes_true(is_closed, PATIENCE_S), "Redis did not close the subscription")


def _require_gaps(program: Program, report: Report, at_least: int) -> None:
    def gaps() -> int:
        return len(program.all("gap_detected", reason="reconnected"))

    becomes_true(lambda: gaps() >= at_least, PATIENCE_S)
    report.record(gaps=gaps())
    report.require(gaps() >= at_least, f"{gaps()} gaps counted, not {at_least}")
