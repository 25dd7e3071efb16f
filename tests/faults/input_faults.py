"""Events are duplicated, out of order, poisonous, an hour late, or trimmed unread."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise
from math import inf
from time import monotonic, time
from typing import Final

from tests.faults.clocks import HOUR_S, RedisClock
from tests.faults.injected.sitecustomize import POISON, STEP_S
from tests.faults.oracle import at_ms
from tests.faults.report import Report
from tests.faults.samples import memory_mb, pause, sampling
from tests.faults.testbed import Testbed, drain
from tests.faults.traffic import (
    SIMULATED_SESSION,
    DuplicatedInDisorder,
    Feed,
    Simulated,
    add,
    sending_events,
)
from tests.support.event_samples import CHAT, CLOSED, EVENT_NAMES, SYNC
from tests.support.programs import Line, Program, Row
from tests.support.waiting import becomes_true

LATE_S: Final = 2.0
PATIENCE_S: Final = 60.0
LIVE_S: Final = 10.0
MAX_MEMORY_MB: Final = 500.0


def duplicate_events(testbed: Testbed, report: Report, seconds: float) -> None:
    """Deliver each event twice, each time up to two seconds late, and so in any order."""
    with sending_events(testbed.redis_url, DuplicatedInDisorder(Simulated(12, speed=10.0), LATE_S)):
        testbed.start_and_wait()
        pause(seconds)
    testbed.settle(report)
    rows = testbed.rows()
    report.require(all(float(n) >= 0 for row in rows for n in row[6:]), "a count is negative")
    firsts = _first_arrivals(testbed)
    chats = sum(map(len, firsts.values()))
    window_s = int(testbed.variables["CONDUCTOR_WINDOW_S"])
    wrong = [row for row in rows if _chats_in(row, window_s) != _counted(row, firsts, window_s)]
    report.record(messages=chats, rows_counting_wrong=len(wrong))
    report.require(not wrong, f"messages not counted once: {wrong[:1]}")


def _chats_in(row: Row, window_s: int) -> float:
    return float(row[6]) * window_s / 60


def _counted(row: Row, firsts: Mapping[str, Mapping[str, int]], window_s: int) -> int:
    end_ms = at_ms(row)
    return sum(end_ms - window_s * 1000 <= at < end_ms for at in firsts[row[2]].values())


def _first_arrivals(testbed: Testbed) -> Mapping[str, Mapping[str, int]]:
    """Return when each message of each session first arrived, in either stream."""
    firsts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for arrived_ms, name, text in sorted([*testbed.entries(CHAT), *testbed.entries(SYNC)]):
        body = json.loads(text)
        if name == CHAT or body.get("type") == "message_created":
            message = body["message" if name == CHAT else "payload"]
            firsts[body["sessionId"]].setdefault(message["id"], arrived_ms)
    return firsts


def send_poison_events(testbed: Testbed, report: Report, times: int) -> None:
    """Send an event that makes a session fail, again and again."""
    event = json.dumps({"sessionId": SIMULATED_SESSION, "pollId": POISON}).encode()
    with sending_events(testbed.redis_url, Simulated(12, speed=10.0)):
        program = testbed.start_with_fault("poison")
        program.wait_for("batch_written")
        for _ in range(times):
            add(testbed.client, [(CLOSED, event)])
            program.wait_for("actor_restarted", session=SIMULATED_SESSION)
        becomes_true(lambda: len(testbed.dead_letters()) >= times, PATIENCE_S)
    letters = Counter((each["source"], each["reason"]) for each in testbed.dead_letters())
    report.record(poison=times, dead_letters=letters.total())
    wanted = {(f"session:default/{SIMULATED_SESSION}", "handler_failed"): times}
    report.require(letters == wanted, f"dead letters: {dict(letters)}")
    failed = {line.get("session") for line in program.all("actor_failed")}
    report.require(failed == {SIMULATED_SESSION}, f"others failed, too: {failed}")
    testbed.settle(report)


def set_wall_clock(testbed: Testbed, report: Report, rounds: int) -> None:
    """Set the program's own clock an hour forward and back."""
    with sending_events(testbed.redis_url, Simulated(12, speed=10.0)):
        program = testbed.start_with_fault("wall_clock")
        pause(rounds * 3 * STEP_S)
    written = [line["timestamp"][:13] for line in program.lines]
    report.require(len(set(written)) >= 3, "its clock was not set")
    seconds, ticks = rounds * 3 * STEP_S, len(_ticks(program))
    report.require(ticks >= seconds - 2, f"{ticks} ticks in {seconds} s")
    testbed.settle(report)
    require_every_tick(testbed, report)


def set_redis_clock_back(testbed: Testbed, report: Report, seconds: float) -> None:
    """Set the clock of Redis an hour back, and right again; until then its ids stand still.

    The first entries are older than the last tick, so rows may differ.
    """
    clock = RedisClock()
    testbed.redis.filter = clock
    with sending_events(testbed.redis_url, Simulated(12, speed=10.0), clock.entry_id):
        program = testbed.start_and_wait()
        program.wait_for("batch_written")
        clock.ahead_s = -HOUR_S
        pause(seconds)
        clock.ahead_s = 0
        right_s = monotonic()
        program.wait_for("tick_completed")
        report.within("ticks_again", monotonic() - right_s, 2.5)
    testbed.settle(report, bit_for_bit=False)
    require_every_tick(testbed, report)


def catch_up_an_hour(testbed: Testbed, report: Report, sessions: int, speed: float) -> None:
    """Start a program an hour after the last one ended; it goes on from the checkpoint.

    The first one ran an hour ago, by a Redis clock that is set back.
    """
    clock = RedisClock(-HOUR_S)
    testbed.redis.filter = clock
    testbed.variables |= {"CONDUCTOR_TICK_S": "5", "CONDUCTOR_WINDOW_S": "60"}
    feed = Simulated(sessions, speed)
    with sending_events(testbed.redis_url, feed, clock.entry_id):
        first = testbed.start_and_wait()
        first.wait_for("batch_written")
    drain(first, report)
    events = _an_hour_of(testbed, feed)
    clock.ahead_s = 0
    second = testbed.start()
    with sampling(memory_mb(second)) as memory:
        second.wait_for("service_started", PATIENCE_S)
        began_s = monotonic()
        becomes_true(lambda: any(line["lag_s"] < LIVE_S for line in _ticks(second)), PATIENCE_S)
        took_s = monotonic() - began_s
    report.record(sessions=sessions, events=events, took_s=round(took_s, 1))
    report.record(events_per_s=round(events / took_s), times_real_time=round(HOUR_S / took_s))
    report.record(most_mb=max(memory.between(0, inf)))
    report.require(max(memory.between(0, inf)) < MAX_MEMORY_MB, "memory is not bounded")
    testbed.settle(report)
    require_every_tick(testbed, report)


def trim_streams(testbed: Testbed, report: Report, seconds: float) -> None:
    """Trim half of the unread entries while no program runs."""
    with sending_events(testbed.redis_url, Simulated(12, speed=10.0)):
        first = testbed.start_and_wait()
        first.wait_for("batch_written")
    first.wait_for("tick_completed")  # so all was read
    drain(first, report)
    read = {name: testbed.entry_count(name) for name in EVENT_NAMES}
    with sending_events(testbed.redis_url, Simulated(12, speed=10.0, seed=5)):
        pause(seconds)
    lost = 0
    for name in EVENT_NAMES:
        unread = testbed.entry_count(name) - read[name]
        testbed.client.xtrim(name, maxlen=unread - unread // 2, approximate=False)
        lost += unread // 2
    second = testbed.start_and_wait()

    def counted() -> int:
        gaps = second.all("gap_detected", reason="trimmed")
        return sum(gap["lost_events"] or 0 for gap in gaps)

    becomes_true(lambda: counted() >= lost, PATIENCE_S)
    report.record(trimmed=lost, counted=counted())
    report.require(counted() == lost, f"{counted()} events are reported as lost, not {lost}")
    query = "SELECT count(*) FROM engagement_metrics WHERE metadata->'gap'->>'reason' = 'trimmed'"
    becomes_true(lambda: testbed.sql(query) > [(0,)], PATIENCE_S)
    [(marked,)] = testbed.sql(query)
    report.record(marked_rows=marked)
    report.require(marked > 0, "no row is marked")


def _an_hour_of(testbed: Testbed, feed: Feed) -> int:
    """Add the events of the last hour; return how many."""
    began_ms = int((time() - HOUR_S) * 1000)
    before = sum(map(testbed.entry_count, EVENT_NAMES))
    for second in range(0, int(HOUR_S), 2):
        add(testbed.client, feed.step(2.0), f"{began_ms + second * 1000}-*")
    return sum(map(testbed.entry_count, EVENT_NAMES)) - before


def require_every_tick(testbed: Testbed, report: Report) -> None:
    """Check each program's ticks in turn; within one they may be logged out of order."""
    runs = [sorted(line["tick_at_ms"] for line in _ticks(each)) for each in testbed.programs]
    ticks = [tick_ms for run in runs for tick_ms in run]
    report.record(ticks=len(ticks))
    irregular = [b for a, b in pairwise(ticks) if b - a != testbed.tick_s * 1000]
    report.require(not irregular, f"ticks are missing or repeated before {irregular}")


def _ticks(program: Program) -> list[Line]:
    return program.all("tick_completed")
