"""The program is killed, or terminated, in the middle of its work."""

from itertools import pairwise
from random import Random
from typing import Final

from tests.faults.report import Report
from tests.faults.samples import pause
from tests.faults.testbed import DRAIN_WITHIN_S, Testbed, drain
from tests.faults.traffic import Simulated, sending_events
from tests.support.programs import Program

SEED: Final = 4
PATIENCE_S: Final = 30.0
SHARE_OF_READERS: Final = 0.75


def kill_repeatedly(
    testbed: Testbed, report: Report, times: int, longest_s: float, *, deletes_lease: bool
) -> None:
    """Kill it at random moments, before or after it reads, and start it again at once.

    A killed process keeps its lease until it expires, unless the lease is deleted here.
    """
    chance = Random(SEED)
    with sending_events(testbed.redis_url, Simulated(12, speed=10.0)):
        for _ in range(times):
            program = testbed.start()
            if chance.random() < SHARE_OF_READERS:
                program.wait_for("service_started", PATIENCE_S)
            pause(chance.uniform(0.0, longest_s))
            report.require(not program.has_ended, "it ended by itself")
            program.kill()
            if deletes_lease:
                testbed.delete_lease()
        testbed.start_and_wait().wait_for("batch_written")
    lives = [_ticks(program) for program in testbed.programs]
    report.record(kills=times, kills_while_scoring=sum(map(bool, lives[:-1])))
    testbed.settle(report)


def terminate_repeatedly(testbed: Testbed, report: Report, times: int) -> None:
    """Terminate it under load, again and again."""
    chance, drains_s = Random(SEED), []
    with sending_events(testbed.redis_url, Simulated(50, speed=20.0)):
        for _ in range(times):
            program = testbed.start_and_wait()
            program.wait_for("batch_written")
            pause(chance.uniform(0.0, 1.5))
            drains_s.append(drain(program, report))
        testbed.start_and_wait().wait_for("batch_written")
    report.record(terminations=times)
    report.within("drain", max(drains_s), DRAIN_WITHIN_S)
    ticks = [at_ms for program in testbed.programs for at_ms in _ticks(program)]
    report.require(
        all(b - a == 1000 for a, b in pairwise(ticks)), f"the next start did not go on: {ticks}"
    )
    testbed.settle(report)


def _ticks(program: Program) -> list[int]:
    return [line["tick_at_ms"] for line in program.all("tick_completed")]
