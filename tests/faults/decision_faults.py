"""The program is killed while it decides and sends: each action is sent, and learnt from, once."""

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from random import Random
from time import monotonic, time
from typing import Any, Final, NamedTuple

import redis

from conductor_actors.domain.conductor.interventions import Intervention
from conductor_actors.domain.scoring import ScoreRow
from tests.faults.oracle import at_ms
from tests.faults.report import Report
from tests.faults.samples import pause
from tests.faults.testbed import DEFAULT_INTERVALS, SHORT_INTERVALS, Testbed, drain
from tests.faults.traffic import Sent, sending_events
from tests.support.event_samples import POLICY, REACTION, SENT
from tests.support.programs import Program
from tests.support.recorded_talk import Talk
from tests.support.replayed_interventions import (
    expected_interventions,
    expected_performance,
    first_difference,
    measured_trials,
    newest_records,
    replay_streams,
    stored_interventions,
    stored_performance,
    sums_of,
)
from tests.support.stand_in_platform import StandInPlatform, standing_in
from tests.support.waiting import becomes_true

SEED: Final = 4
PATIENCE_S: Final = 45.0
TICK_S: Final = 5
MAX_INTO_TICK_S: Final = 0.15  # decisions, and what is sent, come within
LIVE_LAG_S: Final = 10.0
PLATFORM_WITHIN_S: Final = 2.0
AWAY_S: Final = 15.0  # of the database: then nothing is sent
SETTINGS: Final = DEFAULT_INTERVALS | {
    "CONDUCTOR_CHECKPOINT_S": SHORT_INTERVALS["CONDUCTOR_CHECKPOINT_S"],
    "CONDUCTOR_AGENT_MODE": "AUTO",
}


class Rehearsal(NamedTuple):
    """A talk of which a part has passed when it begins, and how long it goes on after the fault."""

    talk: Talk
    passed_s: int
    afterwards_s: float


class LiveTalk:
    """The rest of a talk, in real time also where this machine is slow."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        passed_s = rehearsal.passed_s
        self._began_s = monotonic() - passed_s
        self._events = [each for each in rehearsal.talk.events() if each[0] >= passed_s][::-1]

    def step(self, dt_s: float) -> Sequence[Sent]:
        until_s, due = monotonic() - self._began_s + dt_s, []
        while self._events and self._events[-1][0] < until_s:
            _, name, body = self._events.pop()
            due.append((name, body.encode()))
        return due


def kill_in_decisions(
    testbed: Testbed, report: Report, times: int, rehearsal: Rehearsal, *, has_standby: bool
) -> None:
    """Kill it just after a tick, when it decides and sends; then start it or its standby."""
    testbed.variables |= SETTINGS
    record_past(testbed.client, rehearsal)
    chance, killed_ms, standby = Random(SEED), list[int](), None
    with standing_in(testbed.redis_url, uses_pubsub=False) as platform, ExitStack() as traffic:
        traffic.enter_context(sending_events(testbed.redis_url, LiveTalk(rehearsal)))
        for _ in range(times):
            program = standby or testbed.start()
            program.wait_for("service_started", PATIENCE_S)
            if has_standby:
                standby = testbed.start()
                standby.wait_for("lease_awaited", PATIENCE_S)
            _wait_for_live_tick(program)
            pause(TICK_S - time() % TICK_S + chance.uniform(0.0, MAX_INTO_TICK_S))
            report.require(not program.has_ended, "it ended by itself")
            program.kill()
            killed_ms.append(int(time() * 1000))
            testbed.delete_lease()
        program = standby or testbed.start()
        program.wait_for("service_started", PATIENCE_S)
        _wait_for_live_tick(program)
        pause(rehearsal.afterwards_s)
        traffic.close()
        _settle(testbed, report, program, platform)
    report.record(kills=times, **_cut_short(testbed, killed_ms))


def stop_database_in_decisions(
    testbed: Testbed, report: Report, rehearsal: Rehearsal, seconds: float
) -> None:
    """Stop the database for longer than 15 s while sessions drop."""
    testbed.variables |= SETTINGS
    record_past(testbed.client, rehearsal)
    with standing_in(testbed.redis_url, uses_pubsub=False) as platform, ExitStack() as traffic:
        traffic.enter_context(sending_events(testbed.redis_url, LiveTalk(rehearsal)))
        program = testbed.start()
        program.wait_for("intervention_sent", PATIENCE_S)
        testbed.database.stop_and_reset()
        away_ms = int(time() * 1000)
        pause(AWAY_S + TICK_S + seconds)
        back_ms = int(time() * 1000)
        testbed.database.heal()
        program.wait_for("outage_ended", PATIENCE_S, service="database")
        _require_sent_since(testbed, report, back_ms)
        traffic.close()
        _settle(testbed, report, program, platform)
    silent_from_ms = away_ms + int(AWAY_S + TICK_S) * 1000
    sent_ms = [ms for ms, _ in sent_entries(testbed)]
    meanwhile = [ms for ms in sent_ms if silent_from_ms < ms < back_ms]
    report.record(away_s=round((back_ms - away_ms) / 1000, 1), sent_meanwhile=len(meanwhile))
    report.require(not meanwhile, f"sent while the database was away: {meanwhile}")


def suspend_redis_in_decisions(
    testbed: Testbed, report: Report, rehearsal: Rehearsal, seconds: float
) -> None:
    """Suspend Redis for longer than 15 s while sessions drop: what was decided then is not sent.

    No events come meanwhile either, so all sessions drop at once.
    """
    testbed.variables |= SETTINGS | {"CONDUCTOR_TRANSPORT": "streams"}  # without gaps of pub/sub
    record_past(testbed.client, rehearsal)
    with standing_in(testbed.redis_url, uses_pubsub=False) as platform, ExitStack() as traffic:
        traffic.enter_context(sending_events(testbed.redis_url, LiveTalk(rehearsal)))
        program = testbed.start()
        program.wait_for("intervention_sent", PATIENCE_S)
        with testbed.redis_suspended():
            pause(AWAY_S + seconds)
        _wait_for_live_tick(program)
        pause(rehearsal.afterwards_s)
        traffic.close()
        _settle(testbed, report, program, platform)
    waited_ms = _waits(testbed)
    report.record(longest_wait_s=max(waited_ms) / 1000)
    report.require(max(waited_ms) < AWAY_S * 1000, "an action was sent too late")


def record_past(client: redis.Redis, rehearsal: Rehearsal) -> None:
    """Add the part of the talk that has passed."""
    seconds, microseconds = client.time()
    first_ms = seconds * 1000 + microseconds // 1000 - rehearsal.passed_s * 1000
    pipeline = client.pipeline(transaction=False)
    for at_s, name, body in rehearsal.talk.events():
        if at_s < rehearsal.passed_s:
            entry_id = f"{first_ms + round(at_s * 1000)}-*"
            pipeline.xadd(name, {"data": body}, id=entry_id)
    pipeline.execute()


def sent_entries(testbed: Testbed) -> list[tuple[int, dict[str, Any]]]:
    """Return when each entry of `conductor:sent` was added, and its body."""
    return [(ms, json.loads(body)) for ms, _, body in testbed.entries(SENT)]


def _require_sent_since(testbed: Testbed, report: Report, since_ms: int) -> None:
    is_sent = becomes_true(
        lambda: any(ms >= since_ms for ms, _ in sent_entries(testbed)), PATIENCE_S
    )
    report.require(is_sent, "nothing was sent afterwards")


def _wait_for_live_tick(program: Program) -> None:
    while program.wait_for("tick_completed", PATIENCE_S)["lag_s"] > LIVE_LAG_S:
        pass


def _settle(testbed: Testbed, report: Report, program: Program, platform: StandInPlatform) -> None:
    """End the program, and compare all that it has left with a replay."""
    testbed.settle(report, within_s=PATIENCE_S)
    drain(program, report)
    last_ms = at_ms(testbed.rows()[-1])
    testbed.client.xadd(REACTION, {"data": b'{"sessionId":"after all"}'})
    rows = [
        row for row in replay_streams(testbed.redis_url, testbed.variables) if row.at_ms <= last_ms
    ]
    _require_sent_once(testbed, report, rows, platform)
    _require_learnt_once(testbed, report, rows)
    _require_stored(testbed, report, rows)
    report.require(not testbed.dead_letters(), f"dead letters: {testbed.dead_letters()[:1]}")


def _require_sent_once(
    testbed: Testbed, report: Report, rows: Sequence[ScoreRow], platform: StandInPlatform
) -> None:
    becomes_true(lambda: len(platform.executed) >= testbed.entry_count(SENT), PLATFORM_WITHIN_S)
    entries = sent_entries(testbed)
    sent = Counter(body["interventionId"] for _, body in entries if body["refused"] is None)
    refused = Counter(body["interventionId"] for _, body in entries if body["refused"] is not None)
    received = Counter(each.id for each in platform.executed)
    twice = [one for one, times in (sent + refused).items() if times > 1]
    report.record(sent=sent.total(), received=received.total(), sent_twice=len(twice))
    report.require(not twice, f"sent twice: {twice}")
    report.require(
        received == sent,
        f"received and not sent, or not received: {(received - sent) + (sent - received)}",
    )
    records = [record for _, record in newest_records(rows).values()]
    approved = [record for _, record in _approved(rows)]
    wrong = [each for each in approved if not _is_consistent(each, sent, rows[-1].at_ms)]
    expired = sum("EXPIRED" in each.steps for each in approved)
    report.record(decisions=len(records), approved=len(approved), expired=expired)
    report.require(bool(sent), "nothing was sent")
    report.require(not wrong, f"neither sent nor expired, or both: {wrong[:2]}")
    unknown = sent.keys() - {each.id for each in approved}
    report.require(not unknown, f"sent, but not approved: {unknown}")


def _is_consistent(record: Intervention, sent: Counter[str], last_ms: int) -> bool:
    """Whether it has expired if it was not sent, and only then, as far as that can be known."""
    if "EXPIRED" in record.steps:
        return record.id not in sent
    if "SENT" in record.steps:
        return record.id in sent
    return record.send_by_ms + TICK_S * 1000 >= last_ms


def _require_learnt_once(testbed: Testbed, report: Report, rows: Sequence[ScoreRow]) -> None:
    trials = measured_trials(rows)
    expected = sums_of([*trials.values()])
    found = {
        name.decode(): int(value)
        for name, value in testbed.client.hgetall(f"{POLICY}:sums").items()
        if b":" in name
    }
    report.record(trials=len(trials), policies=testbed.entry_count(POLICY))
    report.require(bool(trials), "no trial was measured")
    unlike = {name for name in expected | found if expected.get(name) != found.get(name)}
    report.require(not unlike, f"sums of the policy: {sorted(unlike)[:3]}")


def _require_stored(testbed: Testbed, report: Report, rows: Sequence[ScoreRow]) -> None:
    interventions = expected_interventions(rows)
    performance = expected_performance(rows)
    report.record(interventions=len(interventions), performance=len(performance))
    for table, expected, stored in (
        ("interventions", interventions, stored_interventions(testbed.database_url)),
        ("agent_performance", performance, stored_performance(testbed.database_url)),
    ):
        unlike = first_difference(expected, stored)
        report.require(not unlike, f"{table}: {len(stored)}, not {len(expected)}: {unlike}")


def _waits(testbed: Testbed) -> list[int]:
    """Return how long after its tick each action was sent."""
    rows = replay_streams(testbed.redis_url, testbed.variables)
    decided = {record.id: record.steps["APPROVED"] for _, record in _approved(rows)}
    return [ms - decided[body["interventionId"]] for ms, body in sent_entries(testbed)]


def _approved(rows: Sequence[ScoreRow]) -> list[tuple[ScoreRow, Intervention]]:
    return [each for each in newest_records(rows).values() if "APPROVED" in each[1].steps]


def _cut_short(testbed: Testbed, killed_ms: Sequence[int]) -> dict[str, int]:
    """Count the actions that were approved before a kill and sent, or known to be, after it."""
    rows = replay_streams(testbed.redis_url, testbed.variables)
    sent_at = {body["interventionId"]: ms for ms, body in sent_entries(testbed)}
    sent_later = known_later = 0
    for _, record in newest_records(rows).values():
        decided_ms, known_ms = (record.steps.get(step) for step in ("APPROVED", "SENT"))
        if decided_ms is not None and known_ms is not None:
            sent_ms = sent_at[record.id]
            sent_later += any(decided_ms < ms <= sent_ms for ms in killed_ms)
            known_later += any(sent_ms < ms <= known_ms for ms in killed_ms)
    return {"sent_after_a_kill": sent_later, "known_after_a_kill": known_later}
