"""Machine instructions of an event, a tick and more: figures that a busy machine does not change.

A process under callgrind does the work, in rounds; see `counted_work`. What an event takes is the
difference between a round with events and one without. Figures are recorded in the repository by
Python version, compiled or not, and none may grow by more than a tenth.
"""

import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from conductor_actors.compiled import IS_COMPILED
from tests.benchmarks.counted_sizes import EVENTS, FEW_SESSIONS, HOT_EVENTS, SESSIONS, UPDATES
from tests.benchmarks.scripted_redis import scripted_redis

FIGURES: Final = Path(__file__).parent / "instructions.json"
MAX_GROWTH: Final = 1.1
WORTH_RECORDING: Final = 0.95
MAX_COUNTING_S: Final = 1800.0
TOTAL: Final = re.compile(r"^totals: (\d+)", re.MULTILINE)
RECORD: Final = "python -m tests.benchmarks --instructions --record"

Counts = Mapping[str, float]


class Comparison(NamedTuple):
    """A figure beside the recorded one, if there is one."""

    name: str
    measured: int
    recorded: int | None

    @property
    def ratio(self) -> float | None:
        return self.measured / self.recorded if self.recorded else None

    @property
    def has_grown(self) -> bool:
        return self.ratio is not None and self.ratio > MAX_GROWTH

    def __str__(self) -> str:
        if self.ratio is None:
            return f"{self.name:<44} {self.measured:>9,}  not recorded"
        verdict = f"  more than {MAX_GROWTH} x" if self.has_grown else ""
        return (
            f"{self.name:<44} {self.measured:>9,}  {self.ratio:.3f} x of {self.recorded:,}{verdict}"
        )


def main(*, is_recording: bool) -> int:
    """Count, print, and compare or record; return the exit code."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        print("--instructions needs valgrind: apt-get install valgrind", file=sys.stderr)
        return 2
    measured = figures(count(valgrind))
    version = ".".join(platform.python_version_tuple()[:2]) + ", compiled" * IS_COMPILED
    recorded = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    comparisons = compare(measured, recorded.get(version, {}))
    print(f"instructions, Python {version}", *comparisons, sep="\n")
    if is_recording:
        recorded[version] = measured
        FIGURES.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n")
        return 0
    return report(comparisons)


def report(comparisons: Sequence[Comparison]) -> int:
    """Print what to do about the comparisons; return the exit code."""
    grown = [each for each in comparisons if each.has_grown]
    missing = [each for each in comparisons if each.ratio is None]
    for each in grown:
        print(f"\n{each.name}: {each.ratio:.2f} x of what is recorded, at most {MAX_GROWTH} x")
    if grown:
        print(f"make it cheaper or, if what it does more is worth that, record it: {RECORD}")
    elif missing:
        print(f"\nnot everything is recorded for this Python: {RECORD}")
    elif any(each.ratio and each.ratio < WORTH_RECORDING for each in comparisons):
        print(f"\nsome take less than is recorded; to hold them there: {RECORD}")
    return 1 if grown or missing else 0


def compare(measured: Mapping[str, int], recorded: Mapping[str, int]) -> list[Comparison]:
    return [Comparison(name, value, recorded.get(name)) for name, value in measured.items()]


def figures(counts: Counts) -> dict[str, int]:
    """Return the instructions of one event, one session and so on."""
    found = {
        f"an event, {what}": (counts[f"{kind} with events"] - counts[f"{kind} without events"])
        / events
        for kind, what, events in (
            ("streams", "stream", EVENTS),
            ("hot", "stream, one hot session", HOT_EVENTS),
            ("pubsub", "pub/sub", EVENTS),
        )
    }
    census = counts["census"] - counts["census of few"]
    found |= {
        "a read that returns no events": counts["read"],
        "a tick of an idle session": counts["idle ticks"] / SESSIONS,
        "a tick of a busy session": counts["streams without events"] / SESSIONS,
        "a checkpoint of a changed session": counts["checkpoint"] / SESSIONS,
        "a census of a session": census / (SESSIONS - FEW_SESSIONS),
        "an update encoded": counts["updates encoded"] / UPDATES,
        "an update decoded": counts["updates decoded"] / UPDATES,
    }
    return {name: round(value) for name, value in found.items()}


def count(valgrind: str) -> Counts:
    """Return the instructions of each section, the median of its rounds."""
    with tempfile.TemporaryDirectory() as folder, scripted_redis() as url:
        out = Path(folder) / "out"
        command = [valgrind, "--quiet", "--tool=callgrind", "--dump-before=getppid"]
        command += [f"--callgrind-out-file={out}", sys.executable, "-m", "tests.benchmarks.counted"]
        done = subprocess.run(
            [*command, url],
            env=os.environ | {"PYTHONHASHSEED": "0"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=MAX_COUNTING_S,
        )
        sections: defaultdict[str, list[int]] = defaultdict(list)
        for number, name in enumerate(json.loads(done.stdout), 1):
            sections[name].append(_total(out.with_name(f"out.{number}")))
    return {name: statistics.median(totals) for name, totals in sections.items()}


def _total(file: Path) -> int:
    found = TOTAL.search(file.read_text())
    assert found, file
    return int(found[1])
