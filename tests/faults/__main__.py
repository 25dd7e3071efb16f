"""Run the experiments at full length and print the table: `python -m tests.faults`."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import StringIO
from pathlib import Path
from time import monotonic
from typing import Final, TypeAlias, TypeVar

from conductor_actors.observability import logs
from tests.cluster.nodes.testbed import ClusterTestbed, missing_for_cluster, new_cluster
from tests.faults.cluster_experiments import CLUSTER_EXPERIMENTS, LONG_CLUSTER_EXPERIMENTS
from tests.faults.experiments import EXPERIMENTS, Experiment, Run, run_experiment, run_on
from tests.faults.report import Report
from tests.faults.testbed import Testbed

ON_CLUSTER: Final = (*CLUSTER_EXPERIMENTS, *LONG_CLUSTER_EXPERIMENTS)

T = TypeVar("T")
AnyExperiment: TypeAlias = Experiment[Testbed] | Experiment[ClusterTestbed]


def main() -> None:
    arguments = _arguments()
    logs.configure(stream=StringIO())  # what our own servers say
    results = []
    print("| run | must hold | seen | held |\n|---|---|---|---|", flush=True)
    for experiment, run in _chosen(arguments):
        began_s = monotonic()
        report = run()
        report.record(took_s=round(monotonic() - began_s, 1))
        print(_line(experiment, report), flush=True)
        for broken in report.broken:
            print(f"{experiment}: {broken}", file=sys.stderr, flush=True)
        results.append({"run": experiment.name, "seen": report.seen, "broken": report.broken})
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))
    sys.exit(any(result["broken"] for result in results))


def _chosen(arguments: argparse.Namespace) -> Iterator[tuple[AnyExperiment, Callable[[], Report]]]:
    """Return the experiments to run, and how; those on a cluster share one."""

    def choose(experiments: Sequence[Experiment[T]]) -> Iterator[tuple[Experiment[T], Run[T]]]:
        for each in experiments:
            if each.name in (arguments.only or [each.name]):
                yield each, each.short if arguments.short else each.full

    for experiment, run in choose(EXPERIMENTS):
        yield experiment, partial(run_experiment, run)
    on_cluster = list(choose(ON_CLUSTER))
    missing = missing_for_cluster()
    if on_cluster and missing:
        print(f"no cluster: needs {missing}", file=sys.stderr)
    elif on_cluster:
        with new_cluster() as cluster:
            for each, run_there in on_cluster:
                yield each, partial(run_on, cluster, run_there)


def _line(experiment: AnyExperiment, report: Report) -> str:
    seen = ", ".join(f"{name} {figure}" for name, figure in report.seen.items())
    held = f"NO: {len(report.broken)}" if report.broken else "yes"
    return f"| {experiment} | {experiment.must_hold} | {seen} | {held} |"


def _arguments() -> argparse.Namespace:
    names = [each.name for each in EXPERIMENTS] + [each.name for each in ON_CLUSTER]
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--short", action="store_true", help="as they run every day")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
