"""Judge the detector on a corpus of labelled sessions: `python -m tests.detector`.

The sessions are made by seed, and replayed by the code of the service, so the detector that is
judged is the service's. A false alarm is one outside every incident; only sessions without
incidents count for the bar. The peers know no types: any of their alarms finds an incident.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from itertools import product as pairs
from typing import Final

from tests.detector import detectors
from tests.detector.corpus.corpus import session
from tests.detector.detectors import Detector
from tests.detector.judge import Verdict, judge
from tests.detector.peers.change_points import change_points
from tests.detector.peers.half_space_trees import half_space_trees
from tests.detector.peers.previous_point import previous_point
from tests.detector.report import bars, causes, compact, delays, table

PRODUCT: Final = "this detector"
HELD_OUT_SEEDS: Final = (101, 102, 103)  # never used to choose a parameter; 1 to 9 are
SESSIONS: Final = 200  # of each seed
TIMED_EVERY: Final = 20  # sessions, since the cost of the detector takes two replays

Verdicts = dict[str, Verdict]


def main() -> None:
    arguments = _arguments()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    began_s = time.monotonic()
    verdicts = judged(seeds, arguments.sessions, has_peers=not arguments.no_peers)
    layout = compact if arguments.markdown else table
    seeds_text = ", ".join(map(str, seeds))
    print(f"{arguments.sessions} sessions of each of the seeds {seeds_text}", end="\n\n")
    print(layout(bars(verdicts)), end="\n\n")
    print(layout(delays(verdicts[PRODUCT])))
    if arguments.causes:
        print("", layout(causes(verdicts[PRODUCT])), sep="\n")
    print(f"took {time.monotonic() - began_s:.0f} s", file=sys.stderr)


def judged(seeds: list[int], sessions: int, *, has_peers: bool) -> Verdicts:
    """Judge all detectors, on all cores."""
    tasks = list(pairs(seeds, range(sessions)))
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        done: Iterator[Verdicts] = pool.map(partial(_judge_session, has_peers), tasks, chunksize=8)
        total: Verdicts = {}
        for verdicts in done:
            total = {name: total.get(name, Verdict()) + each for name, each in verdicts.items()}
    return total


@lru_cache
def _detectors(has_peers: bool) -> dict[str, Detector]:
    named: dict[str, Detector] = {PRODUCT: detectors.product}
    if has_peers:
        named |= {"previous point": previous_point, "change points": change_points}
        try:
            named["half-space trees"] = half_space_trees()
        except ImportError:
            print("without half-space trees: pip install '.[bench]'", file=sys.stderr)
    return named


def _judge_session(has_peers: bool, task: tuple[int, int]) -> Verdicts:
    seen = detectors.replayed(session(*task))
    verdicts = {}
    for name, detect in _detectors(has_peers).items():
        began_s = time.process_time()
        alarms = detect(seen)
        spent_s = time.process_time() - began_s
        verdict = judge(seen.session, alarms)
        verdicts[name] = verdict._replace(ticks=len(seen.rows), spent_s=spent_s)
    is_timed = task[1] % TIMED_EVERY == 0
    verdicts[PRODUCT] = verdicts[PRODUCT]._replace(
        ticks=len(seen.rows) * is_timed, spent_s=detectors.cost_s(seen.session) if is_timed else 0.0
    )
    return verdicts


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.detector",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sessions", type=int, default=SESSIONS, help=f"of each seed: {SESSIONS}")
    seeds = ",".join(map(str, HELD_OUT_SEEDS))
    parser.add_argument("--seeds", default=seeds, help=f"separated by commas: {seeds}")
    parser.add_argument("--markdown", action="store_true", help="print tables without padding")
    parser.add_argument("--causes", action="store_true", help="explain the false alarms, too")
    parser.add_argument("--no-peers", action="store_true", help="judge the detector alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()
