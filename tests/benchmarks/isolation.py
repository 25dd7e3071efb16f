"""What nine tenants notice of a tenth at 100 times its share, ten times what all of them send.

Their ticks' delay is from a tick's instant until somebody who listens has heard the tenant's last
score of it. That none of their events was lost is shown by their rows, which must be those of a
replay that has never heard of the tenth.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Final, NamedTuple

from conductor_actors.instants import from_iso, to_ms
from conductor_actors.simulate import bulk
from conductor_actors.simulate.producer import REACTION
from tests.benchmarks import events as made
from tests.benchmarks.figures import RATIO, Bench, Figure, Target
from tests.benchmarks.raw_redis import RawRedis, command
from tests.benchmarks.watched import Watched
from tests.benchmarks.world import World

FLOOD: Final = "flood"
OTHERS: Final = tuple(f"tenant-{number}" for number in range(9))
SESSIONS_EACH: Final = 20
SHARE_PER_S: Final = 200
FLOOD_PER_S: Final = 100 * SHARE_PER_S
LIMIT_PER_S: Final = 2 * SHARE_PER_S
TICK_S: Final = 1
LONGEST_S: Final = 120.0


class Ears:
    """Hear every update; note when each tenant's last one of a tick came."""

    def __init__(self, line: RawRedis) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._heard: dict[tuple[str, int], float] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def delays_s(self, begin_s: float, end_s: float) -> list[float]:
        """Give the delays of the others' ticks between two moments."""
        with self._lock:
            heard = [*self._heard.items()]
        return [
            at_s - tick_ms / 1000
            for (tenant, tick_ms), at_s in heard
            if tenant in OTHERS and begin_s < tick_ms / 1000 <= end_s
        ]

    def _listen(self) -> None:
        while True:
            try:
                *_, body = self._line.reply()
            except OSError:
                return
            now_s, update = time.time(), json.loads(body)
            tick_ms = to_ms(from_iso(update["timestamp"]))
            with self._lock:
                self._heard[update["tenantId"], tick_ms] = now_s


class Sender:
    """A process that adds the same events again and again, at a rate, for as long as the block."""

    def __init__(self, url: str, *kind: str) -> None:
        self._command = [sys.executable, "-m", "tests.benchmarks.isolation", url, *kind]
        self.sent = 0

    @contextmanager
    def sending(self) -> Iterator[None]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True)
        try:
            yield
        finally:
            self.sent = int(process.communicate("stop")[0])


class Seen(NamedTuple):
    """What was seen of the collector, and what it had been sent."""

    before_s: list[float]
    during_s: list[float]
    rss_before: int
    rss_most: int
    sent_others: int
    sent_flood: int
    routed: int
    refused: int
    last_tick_ms: int
    took_s: float


def isolation(bench: Bench) -> Iterator[Figure]:
    """First the nine alone, then with the flood, in one run."""
    length_s = 10.0 if bench.is_quick else 60.0
    world = bench.world
    world.clear()
    seen = _run(world, length_s)
    assert seen.routed + seen.refused == seen.sent_others + seen.sent_flood
    flood_per_s = seen.sent_flood / seen.took_s
    what = f"9 tenants beside one at {flood_per_s:,.0f} events/s"
    note = f"p50 {_p(seen.during_s, 50):.3f} s, alone {_p(seen.before_s, 50):.3f} s"
    p99 = (_p(seen.during_s, 99),), (_p(seen.before_s, 99),)
    yield Figure(f"{what}, p99 tick delay", "s", *p99, target=Target(1.5, RATIO), note=note)
    compared = _replayed(world, seen.last_tick_ms)
    yield Figure(f"{what}, rows as without it", "rows", (compared,), note="none differs or misses")
    counted = seen.routed - seen.sent_others
    note = f"{seen.sent_flood:,} sent, {counted:,} counted, the rest by tenant and reason"
    yield Figure(f"{what}, refused of it", "events", (seen.refused,), note=note)
    megabytes = (seen.rss_most / 1e6,), (seen.rss_before / 1e6,)
    yield Figure(f"{what}, most memory", "MB", *megabytes, target=Target(1.5, RATIO))


def _run(world: World, length_s: float) -> Seen:
    settings = {
        "TICK_S": str(TICK_S),
        "TENANTS": ",".join((FLOOD, *OTHERS)),
        "TENANT_EVENTS_PER_S": str(LIMIT_PER_S),
        "TENANT_SESSIONS": str(2 * SESSIONS_EACH),
    }
    others, flood = Sender(world.redis_url, "others"), Sender(world.redis_url, FLOOD)
    with (
        RawRedis(world.redis_url, patience_s=None) as line,
        world.collecting(**settings) as collector,
    ):
        line.pipeline(command("PSUBSCRIBE", "*:engagement:update"), 1)
        ears = Ears(line)
        with others.sending():
            _pass(collector, 5.0)
            began_s = time.time()
            _pass(collector, length_s)
            rss_before, flooded_s = collector.rss_bytes(), time.time()
            with flood.sending():
                rss_most = _pass(collector, length_s)
                ended_s = time.time()
            rss_most = max(rss_most, _pass(collector, 5.0))
        sent = others.sent + flood.sent
        collector.wait(lambda: _routed(collector) + _refused(collector) >= sent, "all of it")
        last = collector.wait_tick(time.time() * 1000)
        collector.wait_tick(last["tick_at_ms"])
        return Seen(
            ears.delays_s(began_s, flooded_s),
            ears.delays_s(flooded_s, ended_s),
            rss_before,
            rss_most,
            others.sent,
            flood.sent,
            _routed(collector),
            _refused(collector),
            last["tick_at_ms"],
            ended_s - flooded_s,
        )


def _pass(collector: Watched, length_s: float) -> int:
    """Let time pass; give the most memory that was seen."""
    until_s, most = time.monotonic() + length_s, 0
    while time.monotonic() < until_s:
        time.sleep(0.25)
        most = max(most, collector.rss_bytes())
    return most


def _routed(collector: Watched) -> int:
    return sum(line["events"] for line in collector.lines.get("events_routed", ()))


def _refused(collector: Watched) -> int:
    lines = collector.lines.get("events_refused", ())
    assert {line["tenant"] for line in lines} <= {FLOOD}
    return sum(line["events"] for line in lines)


def _of_others() -> made.Packed:
    events = list(bulk(40 * SHARE_PER_S * len(OTHERS), SESSIONS_EACH))
    return made.added(
        (f"{OTHERS[number % len(OTHERS)]}:{name}", body)
        for number, (name, body) in enumerate(events)
    )


def _of_flood() -> made.Packed:
    return made.added(
        (f"{FLOOD}:{REACTION}", json.dumps({"sessionId": f"s-{number % 1000}"}).encode())
        for number in range(FLOOD_PER_S)
    )


def _replayed(world: World, last_ms: int) -> int:
    """Compare the others' rows with a replay that does not know the flood; tell how many."""
    variables = world.variables() | {
        "CONDUCTOR_TICK_S": str(TICK_S),
        "CONDUCTOR_TENANTS": ",".join(OTHERS),
    }
    done = subprocess.run(
        [
            *(sys.executable, "-m", "conductor_actors", "replay", world.redis_url),
            *("--against", "database", "--to", str(last_ms - 1)),
        ],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.split()[1])


def _p(delays_s: list[float], hundredth: int) -> float:
    return statistics.quantiles(delays_s, n=100)[hundredth - 1]


def send() -> None:
    """Send until there is something on stdin; then say how many were sent."""
    url, kind = sys.argv[1:]
    is_flood = kind == FLOOD
    packed = _of_flood() if is_flood else _of_others()
    per_s = FLOOD_PER_S if is_flood else SHARE_PER_S * len(OTHERS)
    stop, sent, began_s = threading.Event(), 0, time.monotonic()
    threading.Thread(target=_stop_when_asked, args=(stop,), daemon=True).start()
    with RawRedis(url) as line:
        for chunk, commands in cycle(packed.chunks):
            if stop.wait(max(0.0, began_s + sent / per_s - time.monotonic())):
                break
            line.pipeline(chunk, commands)
            sent += commands
    print(sent)


def _stop_when_asked(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    send()
