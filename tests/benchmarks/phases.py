"""What events cost: the CPU time of a stretch with events, less that of one without.

Both stretches begin and end when the process is at rest after a tick, so that what they differ in
is the events: reading, decoding, grouping, applying them, wherever and however late that is done.
"""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from tests.benchmarks.watched import Watched

REST_S: Final = 0.5


class Spent(NamedTuple):
    cpu_s: float
    wall_s: float
    ticks: int


def idle(process: Watched) -> Spent:
    """Look at one tick to which no event has come."""
    return _stretch(process, lambda: None)


def cost_us(process: Watched, bring: Callable[[], None], events: int) -> float:
    """Give the CPU time, in microseconds, that each of the events adds."""
    quiet = idle(process)
    return added_us(quiet.cpu_s / quiet.ticks, process, bring, events)


def added_us(tick_cpu_s: float, process: Watched, bring: Callable[[], None], events: int) -> float:
    """Give the same where it is known what a tick without events takes."""
    busy = _stretch(process, bring)
    return (busy.cpu_s - busy.ticks * tick_cpu_s) / events * 1e6


def tick_cpu_s(process: Watched) -> float:
    """Give the CPU time of one tick to which no event has come, without that of waiting."""
    spent = idle(process)
    began_s, cpu_s = time.monotonic(), process.cpu_s()
    time.sleep(REST_S)
    waiting = (process.cpu_s() - cpu_s) / (time.monotonic() - began_s)
    return (spent.cpu_s - waiting * spent.wall_s) / spent.ticks


def wait_routed(process: Watched, events: int) -> None:
    """Wait until so many events were read since its start."""
    process.wait(
        lambda: sum(line["events"] for line in process.lines.get("events_routed", ())) >= events,
        f"{events} events",
    )


def _stretch(process: Watched, bring: Callable[[], None]) -> Spent:
    """Let something come at rest, and wait until the tick that shows it is over."""
    began_s, cpu_s = time.monotonic(), process.cpu_s()
    ticks = len(process.all("tick_completed"))
    bring()
    process.wait_tick(after_ms=time.time() * 1000)
    process.settle()
    passed = len(process.all("tick_completed")) - ticks
    return Spent(process.cpu_s() - cpu_s, time.monotonic() - began_s, passed)
