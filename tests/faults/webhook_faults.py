"""The program is killed while it sends to a webhook, or the receiver is away."""

from tests.e2e.deployment import Deployment
from tests.faults.report import Report
from tests.faults.testbed import Testbed
from tests.support.webhook_deployment import (
    DeliveryReport,
    kill_repeatedly,
    take_receiver_away,
)


def kill_in_deliveries(testbed: Testbed, report: Report, times: int) -> None:
    """Kill it while a receiver has an event that it has not answered, and start it again."""
    found = kill_repeatedly(_deployed(testbed), times)
    report.record(kills=times)
    _judge(report, found)
    report.require(found.duplicates >= times, "it was not killed in the middle of a delivery")


def stop_receiver(testbed: Testbed, report: Report, seconds: float) -> None:
    """Stop the receiver while sessions end, and start it again."""
    found = take_receiver_away(_deployed(testbed), seconds)
    report.record(away_s=seconds)
    _judge(report, found)
    report.require(found.duplicates == 0, "an event came twice")


def _judge(report: Report, found: DeliveryReport) -> None:
    report.record(
        events=found.sessions,
        deliveries=found.deliveries,
        duplicates_by_key=found.duplicates,
        lost=found.lost,
    )
    report.require(found.sessions > 0, "no session ended")
    report.require(found.lost == 0, "events were lost")
    report.require(found.differing == 0, "an event came with another body")
    report.require(found.misplaced == 0, "events of a session came out of order")


def _deployed(testbed: Testbed) -> Deployment:
    urls = {"REDIS_URL": testbed.redis_url, "DATABASE_URL": testbed.database_url}
    return Deployment(testbed.client, testbed.variables | urls, testbed.folder)
