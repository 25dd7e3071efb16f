"""Every experiment: what must hold, its short form for every day, its full form for the report."""

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from tests.faults import endings
from tests.faults.plant import Plant, planted
from tests.faults.report import Report

Run: TypeAlias = Callable[[Plant, Report], None]


class Experiment(NamedTuple):
    """One line of the table."""

    name: str
    must_hold: str
    short: Run
    full: Run

    def __str__(self) -> str:
        return self.name


EXPERIMENTS: Final = (
    Experiment(
        "killed",
        "0 rows missing, 0 different, 0 duplicates",
        partial(endings.killed, times=4, longest_s=3.0, buried=True),
        partial(endings.killed, times=20, longest_s=30.0, buried=False),
    ),
    Experiment(
        "terminated",
        "exit 0 within 20 s, nothing missing, the next start goes on",
        partial(endings.terminated, times=2),
        partial(endings.terminated, times=10),
    ),
)


def ran(run: Run) -> Report:
    """Run an experiment in a plant of its own; what it waited for in vain is a broken promise."""
    report = Report()
    with planted() as plant:
        try:
            run(plant, report)
        except (AssertionError, TimeoutError) as error:
            report.broken.append(str(error))
    return report
