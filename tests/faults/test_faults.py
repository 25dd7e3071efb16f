"""The short form of every experiment. They mostly wait, so some run side by side.

`python -m tests.faults` holds them to their times; here nothing may depend on who else is busy.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import pytest

from tests.faults.report import Report
from tests.faults.table import EXPERIMENTS, Experiment, ran

SIDE_BY_SIDE: Final = 3
DEADLINE_S: Final = 200.0
PATIENCE: Final = 3.0


@pytest.fixture(scope="module")
def reports(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Report]]]:
    """Run those experiments whose tests were selected."""
    names = {item.name for item in request.session.items}
    wanted = [each for each in EXPERIMENTS if any(f"[{each}]" in name for name in names)]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {each.name: pool.submit(ran, each.short, PATIENCE) for each in wanted}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=str)
def test_whatever_happens_what_was_promised_holds(
    experiment: Experiment, reports: dict[str, Future[Report]]
) -> None:
    report = reports[experiment.name].result(DEADLINE_S)
    assert not report.broken, "\n".join([experiment.must_hold, *report.broken, str(report.seen)])
