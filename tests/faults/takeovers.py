"""One writer at any time: a standby takes over from an owner that dies or is suspended."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from threading import Thread
from time import monotonic, time
from typing import Final, NamedTuple

import redis

from tests.faults.proxy import Proxy
from tests.faults.report import Report
from tests.faults.samples import Samples, pause
from tests.faults.testbed import DRAIN_WITHIN_S, OWNER, Testbed, since_s
from tests.faults.traffic import Simulated, sending_events

TAKEN_OVER_WITHIN_S: Final = 10.0
PATIENCE_S: Final = 30.0
UPDATES: Final = "engagement:update"
FENCE: Final = "conductor:fence"
END_OF_MONITOR: Final = "end of monitor"

# Asking for the lease changes nothing while another process has it; the log says why it ended.
HARMLESS: Final = frozenset((OWNER, "conductor:log"))
CHANGES: Final = frozenset(
    ("PUBLISH", "XADD", "XDEL", "XTRIM", "SET", "HSET", "HDEL", "DEL", "INCR")
)


class ObservedCommand(NamedTuple):
    """A command that Redis ran, and the client port that it came from."""

    port: int
    words: Sequence[str]

    @property
    def is_update(self) -> bool:
        return self.words[:2] == ["PUBLISH", UPDATES]


def kill_owner(testbed: Testbed, report: Report, takeovers: int) -> None:
    """Kill the owner; the standby becomes it, and a new standby waits."""
    with (
        sending_events(testbed.redis_url, Simulated(12, speed=10.0)),
        monitored(testbed) as commands,
    ):
        proxies = [testbed.proxy_before_redis() for _ in range(takeovers + 1)]
        owner = testbed.start_and_wait(proxies[0])
        owner.wait_for("batch_written")
        for proxy in proxies[1:]:
            standby = testbed.start(proxy)
            standby.wait_for("lease_awaited")
            owner.wait_for("batch_written")
            killed_at_s = time()
            owner.kill()
            began = standby.wait_for("service_started", PATIENCE_S)
            report.within("taken_over", since_s(killed_at_s, began), TAKEN_OVER_WITHIN_S)
            owner = standby
            owner.wait_for("batch_written")
    report.record(takeovers=takeovers, fence=_fence(testbed))
    _require_one_publisher_at_a_time(commands, proxies, report)
    testbed.settle(report)


def suspend_owner(testbed: Testbed, report: Report, suspended_for_s: float) -> None:
    """Suspend the owner's process; resume it when the standby has taken over."""
    with (
        sending_events(testbed.redis_url, Simulated(12, speed=10.0)),
        monitored(testbed) as commands,
    ):
        proxies = [testbed.proxy_before_redis() for _ in range(2)]
        owner, standby = testbed.start_and_wait(proxies[0]), testbed.start(proxies[1])
        standby.wait_for("lease_awaited")
        owner.wait_for("batch_written")
        fence = _fence(testbed)
        suspended_s, suspended_at_s = monotonic(), time()
        owner.signal(signal.SIGSTOP)
        began = standby.wait_for("service_started", PATIENCE_S)
        report.within("taken_over", since_s(suspended_at_s, began), TAKEN_OVER_WITHIN_S)
        standby.wait_for("tick_completed")
        pause(suspended_s + suspended_for_s - monotonic())
        resumed_s = monotonic()
        owner.signal(signal.SIGCONT)
        ended = owner.finish(PATIENCE_S)
        report.within("ended_when_resumed", monotonic() - resumed_s, DRAIN_WITHIN_S)
        standby.wait_for("tick_completed")
        standby.wait_for("batch_written")
    report.record(fence_before=fence, fence_after=_fence(testbed), exit_code=ended.exit_code)
    report.require(_fence(testbed) > fence, "the fence was not raised")
    report.require(bool(owner.all("ownership_lost")), "it did not log why it ended")
    late = [
        each.words[:2]
        for each in commands.between(resumed_s, monotonic())
        if each.port in proxies[0].ports_out
        and each.words[0] in CHANGES
        and each.words[1] not in HARMLESS
    ]
    report.require(not late, f"it changed something after it resumed: {late[:5]}")
    _require_one_publisher_at_a_time(commands, proxies, report)
    testbed.settle(report)


def _require_one_publisher_at_a_time(
    commands: Samples[ObservedCommand], proxies: Sequence[Proxy], report: Report
) -> None:
    """Check that each process published in one uninterrupted turn."""
    publishers = [each.port for _, each in commands.values if each.is_update]
    owners = [
        next(n for n, proxy in enumerate(proxies) if port in proxy.ports_out) for port in publishers
    ]
    turns = [owner for owner, _ in groupby(owners)]
    report.record(updates=len(publishers), turns=len(turns))
    report.require(turns == sorted(set(turns)), f"two published at the same time: {turns}")


def _fence(testbed: Testbed) -> int:
    return int(testbed.client.get(FENCE) or 0)


@contextmanager
def monitored(testbed: Testbed) -> Iterator[Samples[ObservedCommand]]:
    """Record every command that Redis runs, until the block ends."""
    samples = Samples[ObservedCommand]()
    with redis.Redis.from_url(testbed.redis_url) as client, client.monitor() as monitor:

        def record() -> None:
            port = 0
            for each in monitor.listen():
                if END_OF_MONITOR in each["command"]:
                    return
                port = int(each["client_port"] or port)  # commands of a script follow it
                samples.add(ObservedCommand(port, each["command"].split(maxsplit=3)))

        thread = Thread(target=record, name="monitor")
        thread.start()
        try:
            yield samples
        finally:
            testbed.client.echo(END_OF_MONITOR)
            thread.join()
