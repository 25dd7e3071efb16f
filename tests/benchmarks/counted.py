"""The process whose instructions are counted: `python -m tests.benchmarks.counted URL`.

Prints the names of its sections at the end. Only `instructions` runs it.
"""

import gc
import json
import os
import sys

from tests.benchmarks.sections import Sections
from tests.benchmarks.stopped_clock import StoppedClock

SWITCH_INTERVAL_S = 1000.0  # a thread runs until it waits, so that each run has the same order


def main() -> None:
    clock = StoppedClock()
    from tests.benchmarks.counted_work import CountedWork  # noqa: PLC0415 - the clock comes first

    sections = Sections()
    work = CountedWork(sys.argv[1], clock, sections)
    gc.disable()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    work.run()
    print(json.dumps(sections.names), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
