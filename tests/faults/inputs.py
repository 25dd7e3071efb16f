"""What comes in is doubled, in disorder, poisonous, an hour late, or of another time."""

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
from tests.faults.plant import Plant, drained
from tests.faults.report import Report
from tests.faults.samples import memory_mb, pause, sampled, waited
from tests.faults.traffic import SOMEBODY, Feed, Simulated, TwiceInDisorder, add, flowing
from tests.support.hostile import CHAT, CLOSED, NAMES, SYNC
from tests.support.programs import Line, Program, Row

LATE_S: Final = 2.0
PATIENCE_S: Final = 60.0
LIVE_S: Final = 10.0
MOST_MEMORY_MB: Final = 500.0


def doubled(plant: Plant, report: Report, seconds: float) -> None:
    """Deliver everything twice, each up to two seconds late, so across names in any order."""
    with flowing(plant.redis_url, TwiceInDisorder(Simulated(12, speed=10.0), LATE_S)):
        plant.started()
        pause(seconds)
    plant.settle(report)
    rows = plant.rows()
    report.must(all(float(n) >= 0 for row in rows for n in row[6:]), "a count is negative")
    firsts = _first_arrivals(plant)
    chats = sum(map(len, firsts.values()))
    window_s = int(plant.variables["CONDUCTOR_WINDOW_S"])
    wrong = [row for row in rows if _chats_in(row, window_s) != _counted(row, firsts, window_s)]
    report.saw(messages=chats, rows_counting_wrong=len(wrong))
    report.must(not wrong, f"messages counted otherwise than once: {wrong[:1]}")


def _chats_in(row: Row, window_s: int) -> float:
    return float(row[6]) * window_s / 60


def _counted(row: Row, firsts: Mapping[str, Mapping[str, int]], window_s: int) -> int:
    end_ms = at_ms(row)
    return sum(end_ms - window_s * 1000 <= at < end_ms for at in firsts[row[2]].values())


def _first_arrivals(plant: Plant) -> Mapping[str, Mapping[str, int]]:
    """Say of each session when each message first came, under whichever name."""
    firsts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for arrived_ms, name, text in sorted([*plant.entries(CHAT), *plant.entries(SYNC)]):
        body = json.loads(text)
        if name == CHAT or body.get("type") == "message_created":
            message = body["message" if name == CHAT else "payload"]
            firsts[body["sessionId"]].setdefault(message["id"], arrived_ms)
    return firsts


def poisoned(plant: Plant, report: Report, doses: int) -> None:
    """Let a session fail of one event, again and again."""
    event = json.dumps({"sessionId": SOMEBODY, "pollId": POISON}).encode()
    with flowing(plant.redis_url, Simulated(12, speed=10.0)):
        program = plant.started_with("poison")
        program.wait_for("batch_written")
        for _ in range(doses):
            add(plant.client, [(CLOSED, event)])
            program.wait_for("actor_restarted", session=SOMEBODY)
        waited(lambda: len(plant.dead_letters()) >= doses, PATIENCE_S)
    letters = Counter((each["source"], each["reason"]) for each in plant.dead_letters())
    report.saw(poison=doses, dead_letters=letters.total())
    wanted = {(f"session:default/{SOMEBODY}", "handler_failed"): doses}
    report.must(letters == wanted, f"dead letters: {dict(letters)}")
    failed = {line.get("session") for line in program.all("actor_failed")}
    report.must(failed == {SOMEBODY}, f"others failed, too: {failed}")
    plant.settle(report)


def wall_clock_set(plant: Plant, report: Report, rounds: int) -> None:
    """Set the program's own clock an hour forth and back: it must not matter."""
    with flowing(plant.redis_url, Simulated(12, speed=10.0)):
        program = plant.started_with("wall_clock")
        pause(rounds * 3 * STEP_S)
    written = [line["timestamp"][:13] for line in program.lines]
    report.must(len(set(written)) >= 3, "its clock was not set")
    seconds, ticks = rounds * 3 * STEP_S, len(_ticks(program))
    report.must(ticks >= seconds - 2, f"{ticks} ticks in {seconds} s")
    plant.settle(report)
    _must_leave_out_none(plant, report)


def redis_clock_back(plant: Plant, report: Report, seconds: float) -> None:
    """Set Redis' clock an hour back, and right again: its entries' times stand still meanwhile.

    The first of them are older than the tick that was just made, so rows may differ.
    """
    clock = RedisClock()
    plant.redis.filter = clock
    with flowing(plant.redis_url, Simulated(12, speed=10.0), clock.entry_id):
        program = plant.started()
        program.wait_for("batch_written")
        clock.ahead_s = -HOUR_S
        pause(seconds)
        clock.ahead_s = 0
        right_s = monotonic()
        program.wait_for("tick_completed")
        report.within("ticks_again", monotonic() - right_s, 2.5)
    plant.settle(report, bit_for_bit=False)
    _must_leave_out_none(plant, report)


def caught_up(plant: Plant, report: Report, sessions: int, speed: float) -> None:
    """Let an hour pass while the program is away; it goes on from where it was.

    Its first life is an hour ago, by a Redis clock that is set back.
    """
    clock = RedisClock(-HOUR_S)
    plant.redis.filter = clock
    plant.variables |= {"CONDUCTOR_TICK_S": "5", "CONDUCTOR_WINDOW_S": "60"}
    feed = Simulated(sessions, speed)
    with flowing(plant.redis_url, feed, clock.entry_id):
        first = plant.started()
        first.wait_for("batch_written")
    drained(first, report)
    events = _an_hour_of(plant, feed)
    clock.ahead_s = 0
    second = plant.start()
    with sampled(memory_mb(second)) as memory:
        second.wait_for("service_started", PATIENCE_S)
        began_s = monotonic()
        waited(lambda: any(line["lag_s"] < LIVE_S for line in _ticks(second)), PATIENCE_S)
        took_s = monotonic() - began_s
    report.saw(sessions=sessions, events=events, took_s=round(took_s, 1))
    report.saw(events_per_s=round(events / took_s), times_real_time=round(HOUR_S / took_s))
    report.saw(most_mb=max(memory.between(0, inf)))
    report.must(max(memory.between(0, inf)) < MOST_MEMORY_MB, "memory is not bounded")
    plant.settle(report)
    _must_leave_out_none(plant, report)


def trimmed(plant: Plant, report: Report, seconds: float) -> None:
    """Trim streams while the program is away: half of what it would have read is gone."""
    with flowing(plant.redis_url, Simulated(12, speed=10.0)):
        first = plant.started()
        first.wait_for("batch_written")
    first.wait_for("tick_completed")  # so all was read
    drained(first, report)
    read = {name: plant.entry_count(name) for name in NAMES}
    with flowing(plant.redis_url, Simulated(12, speed=10.0, seed=5)):
        pause(seconds)
    lost = 0
    for name in NAMES:
        unread = plant.entry_count(name) - read[name]
        plant.client.xtrim(name, maxlen=unread - unread // 2, approximate=False)
        lost += unread // 2
    second = plant.started()

    def counted() -> int:
        gaps = second.all("gap_detected", reason="trimmed")
        return sum(gap["lost_events"] or 0 for gap in gaps)

    waited(lambda: counted() >= lost, PATIENCE_S)
    report.saw(trimmed=lost, counted=counted())
    report.must(counted() == lost, f"{counted()} events are said to be lost, not {lost}")
    query = "SELECT count(*) FROM engagement_metrics WHERE metadata->'gap'->>'reason' = 'trimmed'"
    waited(lambda: plant.sql(query) > [(0,)], PATIENCE_S)
    [(marked,)] = plant.sql(query)
    report.saw(marked_rows=marked)
    report.must(marked > 0, "no row tells of it")


def _an_hour_of(plant: Plant, feed: Feed) -> int:
    """Add what comes in an hour, the one that ends now; say how many events that is."""
    began_ms = int((time() - HOUR_S) * 1000)
    before = sum(map(plant.entry_count, NAMES))
    for second in range(0, int(HOUR_S), 2):
        add(plant.client, feed.step(2.0), f"{began_ms + second * 1000}-*")
    return sum(map(plant.entry_count, NAMES)) - before


def _must_leave_out_none(plant: Plant, report: Report) -> None:
    """Look at the ticks of one life after the other; within one they may overtake each other."""
    lives = [sorted(line["tick_at_ms"] for line in _ticks(each)) for each in plant.programs]
    ticks = [tick_ms for life in lives for tick_ms in life]
    report.saw(ticks=len(ticks))
    left_out = [b for a, b in pairwise(ticks) if b - a != plant.tick_s * 1000]
    report.must(not left_out, f"ticks are left out or come again before {left_out}")


def _ticks(program: Program) -> list[Line]:
    return program.all("tick_completed")
