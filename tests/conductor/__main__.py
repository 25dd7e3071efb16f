"""Prove the conductor in worlds whose effects are known: `python -m tests.conductor`.

Each repetition of a scenario is 400 anomalies of simulated sessions, made by seed. The policy of
the service decides about them, and so do chance and a plain bandit. Regret is what the best choice
would have given more. Intervals are compared with the effects that the world really has, and draws
with the probabilities that were logged. At last limits are checked, of sessions that are conducted
tick by tick.

SEMI_AUTO is the default mode, with every suggestion approved; all else is of AUTO.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Final

from tests.conductor.game import play
from tests.conductor.limits import NOTHING_CONDUCTED, conduct
from tests.conductor.report import limits_text, rows
from tests.conductor.world import SCENARIOS
from tests.detector.report import compact, table

REPORTED_SEED: Final = 101  # never used to choose a constant; 1 to 9 are
REPETITIONS: Final = 100
LIMITED_SESSIONS: Final = 260  # of up to 40 decisions


def main() -> None:
    arguments = _arguments()
    began_s = time.monotonic()
    results = {}
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for scenario in SCENARIOS:
            task = partial(play, scenario, arguments.seed)
            results[scenario.name] = list(pool.map(task, range(arguments.repetitions), chunksize=5))
        conducted = sum(
            pool.map(partial(conduct, arguments.seed), range(LIMITED_SESSIONS), chunksize=10),
            NOTHING_CONDUCTED,
        )
    print(f"{arguments.repetitions} repetitions, seed {arguments.seed}", end="\n\n")
    print((compact if arguments.markdown else table)(rows(results)), end="\n\n")
    print(limits_text(conducted))
    print(f"took {time.monotonic() - began_s:.0f} s", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conductor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--repetitions", type=int, default=REPETITIONS, help=f"of each scenario: {REPETITIONS}"
    )
    parser.add_argument("--seed", type=int, default=REPORTED_SEED, help=f"{REPORTED_SEED}")
    parser.add_argument("--markdown", action="store_true", help="print the table without padding")
    return parser.parse_args()


if __name__ == "__main__":
    main()
