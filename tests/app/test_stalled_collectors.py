"""What a collector does that can make no ticks any more."""

import os
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.typing import EventDict

from conductor_actors.actors.supervisor import EXIT_FAILED
from conductor_actors.app import collector_run
from conductor_actors.app.collector_run import CollectorRun
from conductor_actors.app.opened_ports import CollectorConfig, Servers
from conductor_actors.app.tick_watchdog import TickActivity
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.observability.collector_progress import CollectorProgress
from tests.app.collector_run import make_settings
from tests.support.fakes.memory_lease import MemoryLease


@pytest.mark.parametrize(
    ("partition", "ended"),
    [(None, [os._exit]), (Partition(7, 64), [])],
    ids=["alone", "beside others"],
)
def test_a_stalled_collector_ends_its_process_unless_other_partitions_are_in_it(
    partition: Partition | None,
    ended: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    log_lines: list[EventDict],
) -> None:
    timers: list[Any] = []

    def make_timer(_: float, function: Any, __: Any) -> SimpleNamespace:
        return SimpleNamespace(start=lambda: timers.append(function))

    monkeypatch.setattr(collector_run, "threading", SimpleNamespace(Timer=make_timer))
    monkeypatch.setattr(collector_run, "MAX_STALL_S", 0.0)
    given_up: list[bool] = []
    lease: Any = MemoryLease()
    monkeypatch.setattr(lease, "give_up", lambda: given_up.append(True), raising=False)
    collector: Any = SimpleNamespace(
        start=lambda: None,
        wait=lambda _: None,
        tick_activity=lambda: TickActivity(0, 0, is_blocked=False),
        drain=lambda: 0,
    )
    config = CollectorConfig(make_settings(), Servers("", "", ""), partition)
    run = CollectorRun(config, lease, CollectorProgress(), threading.Event())
    assert run._collect(collector) == EXIT_FAILED
    assert timers == ended
    assert given_up == [True]
    assert [line["event"] for line in log_lines] == ["ticks_stalled"]
