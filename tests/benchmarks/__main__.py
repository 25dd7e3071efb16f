"""Measure the collector on a real Valkey and PostgreSQL: `python -m tests.benchmarks`.

It is the program itself that is measured, from outside: `collect`, in a process of its own, by the
kernel's account of its CPU time and by its log lines. Events lie in the streams beforehand, added
while it is stopped, so their producer costs nothing. What an event costs is the CPU time of a
stretch that ends with the tick showing it, less that of a stretch with the same ticks and no
events; all sessions have begun before, and their windows fill up from run to run. Of a tick's CPU
time that of waiting as long, measured right after it, is taken off. Limits are measured by turns
with what they are beside. Each figure is the median of its runs; a ratio is one of medians, beside
it the ratio of the least.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from conductor_actors.observability import logs
from tests.benchmarks import (
    comparison,
    delay,
    exports,
    growth,
    histories,
    ingest,
    instructions,
    isolation,
    memory,
    partitions,
    restart,
    splitter,
    ticks,
)
from tests.benchmarks.figures import Bench, Figure, table
from tests.benchmarks.machine import describe
from tests.benchmarks.world import Unmeasured, world

FAMILIES: Final[dict[str, Callable[[Bench], Iterator[Figure]]]] = {
    "streams": ingest.streams,
    "hot": ingest.hot,
    "pubsub": ingest.pubsub,
    "ticks": ticks.ticks,
    "growth": growth.growth,
    "memory": memory.memory,
    "delay": delay.delay,
    "restart": restart.restart,
    "isolation": isolation.isolation,
    "exports": exports.exports,
    "splitter": splitter.splitter,
    "partitions": partitions.partitions,
    "peers": comparison.peers,
}
ON_REQUEST: Final = ("isolation", "exports")  # which take minutes


def main() -> None:
    arguments = _arguments()
    if arguments.history:
        sys.exit(histories.main(arguments.history_database, arguments.quick))
    if arguments.instructions:
        sys.exit(instructions.main(is_recording=arguments.record))
    logs.configure("error", "text", sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves no server behind
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, world(Path(folder)) as made:
        bench = Bench(made, arguments.runs or (2 if arguments.quick else 7), arguments.quick)
        about = describe(made)
        names = arguments.only or [name for name in FAMILIES if name not in ON_REQUEST]
        figures = [figure for name in names for figure in _measured(name, bench)]
    about |= {"load after": ", ".join(f"{load:.2f}" for load in os.getloadavg())}
    about |= {"runs": str(bench.runs), "took": f"{time.monotonic() - began_s:.0f} s"}
    print(__doc__.partition("\n\n")[2])
    print(" · ".join(f"{name} {value}" for name, value in about.items()), end="\n\n")
    print(table(figures))
    if arguments.json:
        _write(arguments.json, about, figures)


def _measured(name: str, bench: Bench) -> Iterator[Figure]:
    """Measure one family, and say so; what goes wrong costs only its own lines."""
    began_s = time.monotonic()
    try:
        for figure in FAMILIES[name](bench):
            print(" | ".join(filter(None, figure.cells())), file=sys.stderr, flush=True)
            yield figure
    except Unmeasured as reason:
        yield Figure(name, note=str(reason))
    except (AssertionError, OSError) as failure:
        print(f"{name}: {failure!r}", file=sys.stderr)
        yield Figure(name, note=f"failed: {str(failure).partition(chr(10))[0][:80]}")
    print(f"{name}: {time.monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)


def _write(file: Path, about: dict[str, str], figures: list[Figure]) -> None:
    document: dict[str, Any] = {"about": about, "method": __doc__}
    document["figures"] = [figure.document() for figure in figures]
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="fewer and smaller, under a minute")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=FAMILIES,
        metavar="NAME",
        help=f"{' '.join(FAMILIES)} (left out without this: {' '.join(ON_REQUEST)})",
    )
    parser.add_argument("--runs", type=int, help="7, or with --quick 2")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument(
        "--instructions",
        action="store_true",
        help="count machine instructions instead, by valgrind",
    )
    parser.add_argument(
        "--history",
        action="store_true",
        help="measure what is read of 10 million stored rows instead, 15 minutes",
    )
    parser.add_argument(
        "--history-database",
        metavar="URL",
        help="with it: an empty database to use, e.g. of TimescaleDB",
    )
    parser.add_argument("--record", action="store_true", help="with it: record them as the limits")
    return parser.parse_args()


if __name__ == "__main__":
    main()
