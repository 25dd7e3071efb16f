"""When old rows are let go of."""

import pytest
from structlog.typing import EventDict

from conductor_actors.actors.messages import IntervalElapsed
from conductor_actors.actors.retention import RetentionActor
from conductor_actors.actors.runtime.base import ActorContext
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.errors import ConfigError, Unavailable
from tests.actors.scripted_actors import Ref
from tests.support.fakes.memory_retention import MemoryRetention
from tests.support.fakes.recording_mailbox import RecordingMailbox

MAX_WAIT_S = 5.0
DAYS = 90.0


def start(retention: MemoryRetention) -> Ref:
    context = ActorContext("retention", ThreadMailbox(), RecordingMailbox())
    return RetentionActor.start(context, retention, DAYS)


def pass_time(ref: Ref) -> None:
    ref.ask(IntervalElapsed(), timeout=MAX_WAIT_S)


def test_old_rows_are_dropped_at_the_start_and_at_each_interval(log_lines: list[EventDict]) -> None:
    retention = MemoryRetention(dropped=7)
    ref = start(retention)
    pass_time(ref)
    assert retention.calls == [DAYS, DAYS]
    assert [(line["event"], line["dropped"], line["older_than_days"]) for line in log_lines] == [
        ("rows_expired", 7, DAYS)
    ] * 2


@pytest.mark.parametrize("outage", [Unavailable("refused"), ConfigError("no right to DELETE")])
def test_an_outage_is_reported_and_the_next_interval_tries_again(
    outage: Exception, log_lines: list[EventDict]
) -> None:
    retention = MemoryRetention()
    retention.outage = outage
    ref = start(retention)
    pass_time(ref)
    retention.outage = None
    pass_time(ref)
    assert [line["event"] for line in log_lines] == [
        "outage_began",
        "outage_ended",
        "rows_expired",
    ]
