"""The program is killed while anomalies are open, and must find the same ones as if it were not."""

from math import inf
from typing import Final, NamedTuple

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


class SlowReading(NamedTuple):
    """A recording, and how fast it can be read, so that its incidents last."""

    talk: Talk
    bytes_per_s: float


def kill_in_incidents(
    testbed: Testbed, report: Report, times: int, reading: SlowReading, *, has_standby: bool
) -> None:
    """Kill it each time an anomaly has begun; events are read so slowly that it is still open.

    Then start it again, or let its standby take over.
    """
    testbed.variables |= SETTINGS
    record_talk(testbed.client, reading.talk)
    expected = testbed.replayed_anomalies()
    response = testbed.redis.conditions[Direction.RESPONSE]
    response.bytes_per_s = reading.bytes_per_s
    kills, standby = 0, None
    for _ in range(times):
        program = standby or testbed.start()
        program.wait_for("service_started", PATIENCE_S)
        if has_standby:
            standby = testbed.start()
            standby.wait_for("lease_awaited", PATIENCE_S)
        program.wait_for("checkpoint_committed", PATIENCE_S)
        program.wait_for("anomaly_detected", PATIENCE_S)
        program.kill()
        kills += bool(_open_anomalies(program))
        testbed.delete_lease()
    response.bytes_per_s = inf
    (standby or testbed.start()).wait_for("service_started", PATIENCE_S)
    testbed.settle(report, within_s=PATIENCE_S)
    report.record(kills=times, kills_in_incidents=kills, anomalies=len(expected))
    report.require(len(expected) >= reading.talk.sessions, f"too few anomalies: {len(expected)}")
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
