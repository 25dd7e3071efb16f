"""The program is killed while anomalies are open, and must find the same ones as if it were not."""

from math import inf
from typing import Final

import redis

from tests.faults.proxy import Direction
from tests.faults.report import Report
from tests.faults.testbed import DEFAULT_INTERVALS, SHORT_INTERVALS, Testbed
from tests.support.programs import Program
from tests.support.recorded_talk import Talk

PATIENCE_S: Final = 30.0
TIMEOUT_S: Final = 120
AGO_S: Final = 7200  # when the recording begins
TENANTS: Final = ",".join(f"tenant-{number}" for number in range(40))  # so each read is small
SETTINGS: Final = DEFAULT_INTERVALS | {
    "CONDUCTOR_TENANTS": TENANTS,
    "CONDUCTOR_CHECKPOINT_S": SHORT_INTERVALS["CONDUCTOR_CHECKPOINT_S"],
    "CONDUCTOR_SESSION_TIMEOUT_S": f"{TIMEOUT_S}",
    "CONDUCTOR_PRESENCE_TIMEOUT_S": f"{TIMEOUT_S}",
}


def kill_in_incidents(
    testbed: Testbed, report: Report, times: int, talk: Talk, bytes_per_s: float
) -> None:
    """Kill it each time an anomaly has begun; events are read so slowly that it is still open."""
    testbed.variables |= SETTINGS
    record_talk(testbed.client, talk)
    expected = testbed.replayed_anomalies()
    response = testbed.redis.conditions[Direction.RESPONSE]
    response.bytes_per_s = bytes_per_s
    kills = 0
    for _ in range(times):
        program = testbed.start_and_wait()
        program.wait_for("checkpoint_committed", PATIENCE_S)
        program.wait_for("anomaly_detected", PATIENCE_S)
        program.kill()
        kills += bool(_open_anomalies(program))
        testbed.delete_lease()
    response.bytes_per_s = inf
    testbed.start_and_wait()
    testbed.settle(report, within_s=PATIENCE_S)
    report.record(kills=times, kills_in_incidents=kills, anomalies=len(expected))
    report.require(len(expected) >= talk.sessions, f"too few anomalies: {len(expected)}")
    report.require(kills > 0, "no anomaly was open when it was killed")
    _compare(testbed, report, expected)


def _compare(testbed: Testbed, report: Report, expected: dict[str, tuple[str, ...]]) -> None:
    stored = testbed.stored_anomalies()
    found = dict(stored)
    report.record(
        anomalies_missing=len(expected.keys() - found.keys()),
        anomalies_doubled=len(stored) - len(found),
        anomalies_unexpected=len(found.keys() - expected.keys()),
        anomalies_different=sum(
            found[one] != expected[one] for one in expected.keys() & found.keys()
        ),
    )
    report.require(
        sorted(stored) == sorted(expected.items()),
        f"anomalies: {sorted(set(stored) ^ set(expected.items()))[:3]}",
    )
    comparison = testbed.compared_with_database()
    report.require(comparison.exit_code == 0, comparison.stdout)


def _open_anomalies(program: Program) -> set[str]:
    """Return what had begun and not ended, as far as the program said."""
    ended = {line["id"] for line in program.all("anomaly_ended")}
    return {line["id"] for line in program.all("anomaly_detected")} - ended


def record_talk(client: redis.Redis, talk: Talk) -> None:
    """Add the entries of a recording that ended long ago."""
    seconds, microseconds = client.time()
    first_ms = seconds * 1000 + microseconds // 1000 - AGO_S * 1000
    pipeline = client.pipeline(transaction=False)
    for at_s, name, body in talk.events():
        entry_id = f"{first_ms + round(at_s * 1000)}-*"
        pipeline.xadd(name, {"data": body}, id=entry_id)
    pipeline.execute()
