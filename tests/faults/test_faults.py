"""The short form of every experiment.

`python -m tests.faults` holds them to their times; here nothing may depend on who else is busy.
"""

from typing import Final

import pytest

from tests.faults.table import EXPERIMENTS, Experiment, ran

PATIENCE: Final = 3.0


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=str)
def test_whatever_happens_what_was_promised_holds(experiment: Experiment) -> None:
    report = ran(experiment.short, PATIENCE)
    assert not report.broken, "\n".join([experiment.must_hold, *report.broken, str(report.seen)])
