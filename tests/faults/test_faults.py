"""The short form of every experiment.

`python -m tests.faults` checks their time limits; here they are extended, because other tests use
the machine, too.
"""

from typing import Final

import pytest

from tests.faults import testbed  # not its class, which pytest would take for a test
from tests.faults.experiments import EXPERIMENTS, Experiment, run_experiment

TIME_FACTOR: Final = 3.0


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=str)
def test_the_service_keeps_its_promises_during_a_fault(
    experiment: Experiment[testbed.Testbed],
) -> None:
    report = run_experiment(experiment.short, TIME_FACTOR)
    assert not report.broken, "\n".join([experiment.must_hold, *report.broken, str(report.seen)])
