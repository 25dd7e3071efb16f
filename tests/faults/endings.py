"""The program ends, as it is killed or as it is asked, in the middle of its work."""

from itertools import pairwise
from random import Random
from typing import Final

from tests.faults.plant import DRAIN_WITHIN_S, Plant, drained
from tests.faults.report import Report
from tests.faults.samples import pause
from tests.faults.traffic import Simulated, flowing
from tests.support.programs import Program

SEED: Final = 4
PATIENCE_S: Final = 30.0
SHARE_OF_READERS: Final = 0.75


def killed(plant: Plant, report: Report, times: int, longest_s: float, *, buried: bool) -> None:
    """Kill it at random moments of its life, from before it reads; start it again at once.

    Unless buried, the dead keep the lease, and the next start has to wait.
    """
    chance = Random(SEED)
    with flowing(plant.redis_url, Simulated(12, speed=10.0)):
        for _ in range(times):
            program = plant.start()
            if chance.random() < SHARE_OF_READERS:
                program.wait_for("service_started", PATIENCE_S)
            pause(chance.uniform(0.0, longest_s))
            report.must(not program.has_ended, "it ended by itself")
            program.kill()
            if buried:
                plant.bury()
        plant.started().wait_for("batch_written")
    lives = [_ticks(program) for program in plant.programs]
    report.saw(kills=times, kills_while_scoring=sum(map(bool, lives[:-1])))
    plant.settle(report)


def terminated(plant: Plant, report: Report, times: int) -> None:
    """Ask it to end under load, again and again."""
    chance, drains_s = Random(SEED), []
    with flowing(plant.redis_url, Simulated(50, speed=20.0)):
        for _ in range(times):
            program = plant.started()
            program.wait_for("batch_written")
            pause(chance.uniform(0.0, 1.5))
            drains_s.append(drained(program, report))
        plant.started().wait_for("batch_written")
    report.saw(terminations=times)
    report.within("drain", max(drains_s), DRAIN_WITHIN_S)
    ticks = [at_ms for program in plant.programs for at_ms in _ticks(program)]
    report.must(
        all(b - a == 1000 for a, b in pairwise(ticks)), f"the next start did not go on: {ticks}"
    )
    plant.settle(report)


def _ticks(program: Program) -> list[int]:
    return [line["tick_at_ms"] for line in program.all("tick_completed")]
