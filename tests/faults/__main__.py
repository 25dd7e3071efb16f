"""Run the experiments at full length and print the table: `python -m tests.faults`."""

import argparse
import json
import sys
from io import StringIO
from pathlib import Path
from time import monotonic

from conductor_actors.observability import logs
from tests.faults.experiments import EXPERIMENTS, Experiment, run_experiment
from tests.faults.report import Report


def main() -> None:
    arguments = _arguments()
    logs.configure(stream=StringIO())  # what our own servers say
    results = []
    print("| run | must hold | seen | held |\n|---|---|---|---|", flush=True)
    for experiment in EXPERIMENTS:
        if experiment.name in (arguments.only or [experiment.name]):
            began_s = monotonic()
            report = run_experiment(experiment.short if arguments.short else experiment.full)
            report.record(took_s=round(monotonic() - began_s, 1))
            print(_line(experiment, report), flush=True)
            for broken in report.broken:
                print(f"{experiment}: {broken}", file=sys.stderr, flush=True)
            results.append({"run": experiment.name, "seen": report.seen, "broken": report.broken})
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))
    sys.exit(any(result["broken"] for result in results))


def _line(experiment: Experiment, report: Report) -> str:
    seen = ", ".join(f"{name} {figure}" for name, figure in report.seen.items())
    held = f"NO: {len(report.broken)}" if report.broken else "yes"
    return f"| {experiment} | {experiment.must_hold} | {seen} | {held} |"


def _arguments() -> argparse.Namespace:
    names = [experiment.name for experiment in EXPERIMENTS]
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--short", action="store_true", help="as they run every day")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
