"""One writer at any time: a standby takes over from an owner that dies, or sleeps and wakes."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from threading import Thread
from time import monotonic, time
from typing import Any, Final, NamedTuple

import redis

from tests.faults.plant import DRAIN_WITHIN_S, OWNER, Plant, since_s
from tests.faults.proxy import Proxy
from tests.faults.report import Report
from tests.faults.samples import Samples, pause
from tests.faults.traffic import Simulated, flowing

TAKEN_OVER_WITHIN_S: Final = 10.0
PATIENCE_S: Final = 30.0
UPDATES: Final = "engagement:update"
FENCE: Final = "conductor:fence"
END_OF_WATCH: Final = "end of watch"

# To ask for the lease changes nothing while another has it, and the log says why it ends.
HARMLESS: Final = frozenset((OWNER, "conductor:log"))
CHANGES: Final = frozenset(
    ("PUBLISH", "XADD", "XDEL", "XTRIM", "SET", "HSET", "HDEL", "DEL", "INCR")
)


class Done(NamedTuple):
    """A command that Redis has carried out: for which connection, and what it was."""

    port: int
    words: Sequence[str]

    @property
    def is_update(self) -> bool:
        return self.words[:2] == ["PUBLISH", UPDATES]


def killed(plant: Plant, report: Report, takeovers: int) -> None:
    """Kill the owner; the standby becomes it, and a new standby waits."""
    with flowing(plant.redis_url, Simulated(12, speed=10.0)), watched(plant) as done:
        ways = [plant.proxy_before_redis() for _ in range(takeovers + 1)]
        owner = plant.started(ways[0])
        owner.wait_for("batch_written")
        for way in ways[1:]:
            standby = plant.start(way)
            standby.wait_for("lease_awaited")
            owner.wait_for("batch_written")
            killed_at_s = time()
            owner.kill()
            began = standby.wait_for("service_started", PATIENCE_S)
            report.within("taken_over", since_s(killed_at_s, began), TAKEN_OVER_WITHIN_S)
            owner = standby
            owner.wait_for("batch_written")
    report.saw(takeovers=takeovers, fence=_fence(plant))
    _must_publish_in_turn(done, ways, report)
    plant.settle(report)


def woken(plant: Plant, report: Report, asleep_s: float) -> None:
    """Stop the owner's process; wake it when the standby has taken over."""
    with flowing(plant.redis_url, Simulated(12, speed=10.0)), watched(plant) as done:
        ways = [plant.proxy_before_redis() for _ in range(2)]
        owner, standby = plant.started(ways[0]), plant.start(ways[1])
        standby.wait_for("lease_awaited")
        owner.wait_for("batch_written")
        fence = _fence(plant)
        stopped_s, stopped_at_s = monotonic(), time()
        owner.signal(signal.SIGSTOP)
        began = standby.wait_for("service_started", PATIENCE_S)
        report.within("taken_over", since_s(stopped_at_s, began), TAKEN_OVER_WITHIN_S)
        standby.wait_for("tick_completed")
        pause(stopped_s + asleep_s - monotonic())
        woken_s = monotonic()
        owner.signal(signal.SIGCONT)
        ended = owner.finish(PATIENCE_S)
        report.within("ended_when_woken", monotonic() - woken_s, DRAIN_WITHIN_S)
        standby.wait_for("tick_completed")
        standby.wait_for("batch_written")
    report.saw(fence_before=fence, fence_after=_fence(plant), exit_code=ended.exit_code)
    report.must(_fence(plant) > fence, "the fence was not raised")
    report.must(bool(owner.all("ownership_lost")), "it did not say why it ended")
    late = [
        each.words[:2]
        for each in done.between(woken_s, monotonic())
        if each.port in ways[0].ports_out
        and each.words[0] in CHANGES
        and each.words[1] not in HARMLESS
    ]
    report.must(not late, f"it changed something when it was woken: {late[:5]}")
    _must_publish_in_turn(done, ways, report)
    plant.settle(report)


def _must_publish_in_turn(done: Samples[Done], ways: Sequence[Proxy], report: Report) -> None:
    """Note whose turn it was to publish: nobody may have two."""
    publishers = [each.port for _, each in done.seen if each.is_update]
    owners = [next(n for n, way in enumerate(ways) if port in way.ports_out) for port in publishers]
    turns = [owner for owner, _ in groupby(owners)]
    report.saw(updates=len(publishers), turns=len(turns))
    report.must(turns == sorted(set(turns)), f"two published at a time: {turns}")


def _fence(plant: Plant) -> int:
    return int(plant.client.get(FENCE) or 0)


@contextmanager
def watched(plant: Plant) -> Iterator[Samples[Done]]:
    """See every command that Redis carries out, as long as the block runs."""
    samples = Samples[Done]()
    with redis.Redis.from_url(plant.redis_url) as client, client.monitor() as monitor:

        def watch() -> None:
            for each in monitor.listen():
                if END_OF_WATCH in each["command"]:
                    return
                samples.add(_done(each))

        thread = Thread(target=watch, name="monitor")
        thread.start()
        try:
            yield samples
        finally:
            plant.client.echo(END_OF_WATCH)
            thread.join()


def _done(seen: dict[str, Any]) -> Done:
    return Done(int(seen["client_port"] or 0), seen["command"].split(maxsplit=3))
