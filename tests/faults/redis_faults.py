"""Redis stops, cuts our connections, or gives up on one: nothing in a stream is lost."""

import signal
from time import time
from typing import Final

from tests.faults.plant import Plant, since_s
from tests.faults.report import Report
from tests.faults.samples import pause, waited
from tests.faults.traffic import Simulated, flowing
from tests.support.hostile import LIVE
from tests.support.programs import Program

FOUND_WITHIN_S: Final = 5.0
BACK_WITHIN_S: Final = 2.0
PATIENCE_S: Final = 15.0
EVENTS: Final = "redis events"
LARGE: Final = b"x" * 1_000_000


def stopped(plant: Plant, report: Report, seconds: float) -> None:
    """Stop the process of Redis, as a host that hangs: every connection stays, none answers."""
    with flowing(plant.redis_url, Simulated(20, speed=10.0)):
        program = plant.started()
        program.wait_for("batch_written")
        with plant.redis_stopped():
            stopped_at_s = time()
            began = program.wait_for("outage_began", service=EVENTS)
            report.within("found", since_s(stopped_at_s, began), FOUND_WITHIN_S)
            pause(stopped_at_s + seconds - time())
        back_at_s = time()
        ended = program.wait_for("outage_ended", PATIENCE_S, service=EVENTS)
        report.within("back", since_s(back_at_s, ended), BACK_WITHIN_S)
        program.wait_for("batch_written")
    _must_have_gaps(program, report, at_least=1)
    report.must(len(plant.programs) == 1 and not program.has_ended, "it ended")
    plant.settle(report)


def reset(plant: Plant, report: Report, times: int) -> None:
    """Reset every connection to Redis, again and again."""
    with flowing(plant.redis_url, Simulated(20, speed=10.0)):
        program = plant.started()
        for _ in range(times):
            program.wait_for("batch_written")
            plant.redis.reset()
            reset_at_s = time()
            gap = program.wait_for("gap_detected", reason="reconnected")
            report.within("back", since_s(reset_at_s, gap), BACK_WITHIN_S)
    report.saw(resets=times)
    _must_have_gaps(program, report, at_least=times)
    plant.settle(report)


def silent(plant: Plant, report: Report, seconds: float) -> None:
    """Let the network swallow everything: half-open connections, which no end ever told."""
    with flowing(plant.redis_url, Simulated(20, speed=10.0)):
        program = plant.started()
        program.wait_for("batch_written")
        silent_at_s = time()
        plant.redis.fall_silent()
        began = program.wait_for("outage_began", service=EVENTS)
        report.within("found", since_s(silent_at_s, began), FOUND_WITHIN_S)
        pause(silent_at_s + seconds - time())
        plant.redis.heal()
        back_at_s = time()
        ended = program.wait_for("outage_ended", PATIENCE_S, service=EVENTS)
        report.within("back", since_s(back_at_s, ended), BACK_WITHIN_S)
        program.wait_for("batch_written")
    _must_have_gaps(program, report, at_least=1)
    plant.settle(report)


def overflowed(plant: Plant, report: Report, times: int) -> None:
    """Let Redis close our subscription because we don't read: its output buffer is full."""
    plant.client.config_set("client-output-buffer-limit", "pubsub 1mb 1mb 1")
    with flowing(plant.redis_url, Simulated(20, speed=10.0)):
        program = plant.started()
        for _ in range(times):
            program.wait_for("batch_written")
            program.signal(signal.SIGSTOP)
            try:
                _flood(plant, report)
            finally:
                program.signal(signal.SIGCONT)
            program.wait_for("gap_detected", reason="reconnected")
    report.saw(overflows=times)
    _must_have_gaps(program, report, at_least=times)
    plant.settle(report)


def _flood(plant: Plant, report: Report) -> None:
    """Publish what nobody can use, until Redis has closed the subscription."""

    def is_closed() -> bool:
        for _ in range(5):
            plant.client.publish(LIVE, LARGE)
        [(_, listeners)] = plant.client.pubsub_numsub(LIVE)
        return not listeners

    report.must(waited(is_closed, PATIENCE_S), "Redis did not close the subscription")


def _must_have_gaps(program: Program, report: Report, at_least: int) -> None:
    def gaps() -> int:
        return len(program.all("gap_detected", reason="reconnected"))

    waited(lambda: gaps() >= at_least, PATIENCE_S)
    report.saw(gaps=gaps())
    report.must(gaps() >= at_least, f"{gaps()} gaps counted, not {at_least}")
