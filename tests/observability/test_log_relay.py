"""Log lines on their way to Redis: whoever logs never waits, and what is lost is counted."""

import json
from collections.abc import Iterator
from contextlib import closing
from io import StringIO

import pytest
import redis
import structlog

from conductor_actors.adapters.redis.key_names import LOG_KEY
from conductor_actors.adapters.redis.pipelines import pipeline
from conductor_actors.app.service import relay_logs
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.observability import logs
from conductor_actors.observability.log_relay import LogRelay
from tests.support.fakes.memory_lines import MemoryLines

log = structlog.get_logger()


@pytest.fixture(autouse=True)
def stdout() -> Iterator[StringIO]:
    stream = StringIO()
    logs.configure("info", "json", stream)
    yield stream
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conductor_actors.observability.log_relay.RETRY_INTERVAL_S", 0.01)


def test_lines_arrive_in_order_and_those_that_wait_at_the_end_too() -> None:
    kept = MemoryLines()
    with closing(LogRelay(kept)) as relay:
        for number in range(2000):
            relay.add(f"{number}")
    assert kept.lines == [f"{number}" for number in range(2000)]


def test_while_redis_is_away_lines_wait_and_come_in_order_when_it_is_back(
    stdout: StringIO,
) -> None:
    kept = MemoryLines()
    kept.outage = Unavailable("away")
    with closing(LogRelay(kept)) as relay:
        for number in range(600):
            relay.add(f"{number}")
        kept.wait_for(attempts=3)
        kept.outage = None
        kept.wait_for(lines=600)
    assert kept.lines == [f"{number}" for number in range(600)]
    assert stdout.getvalue() == ""  # who needs Redis says that it is away


@pytest.mark.parametrize("outage", [Unavailable("away"), ConfigError("no grant")])
def test_what_can_not_wait_any_more_is_dropped_and_counted_once_it_works_again(
    outage: Exception, stdout: StringIO
) -> None:
    kept = MemoryLines()
    kept.outage = outage
    with closing(LogRelay(kept, limit=10)) as relay:
        for number in range(25):
            relay.add(f"{number}")
        kept.wait_for(attempts=kept.attempts + 2)
        kept.outage = None
        kept.wait_for(lines=10)
    assert kept.lines == [f"{number}" for number in range(10)]
    said = [json.loads(line) for line in stdout.getvalue().splitlines()]
    assert [line["event"] for line in said] == ["outage_began", "outage_ended", "log_lines_dropped"]
    assert said[-1]["lines"] == 15


def test_an_end_while_redis_is_away_does_not_wait_for_it() -> None:
    kept = MemoryLines()
    kept.outage = Unavailable("away")
    relay = LogRelay(kept)
    relay.add("line")
    kept.wait_for(attempts=1)
    relay.close()
    assert kept.lines == []
    assert not relay._thread.is_alive()


def test_every_line_that_is_logged_is_in_the_stream_as_json(
    redis_client: redis.Redis, valkey_url: str, stdout: StringIO
) -> None:
    with relay_logs(valkey_url):
        log.info("batch_written", rows=3)
        log.debug("batch_written", rows=4)
        log.bind(tenant="acme").warning("gap_detected", lost_events=None)
    log.info("batch_written", rows=5)
    [kept] = pipeline(redis_client, [("XRANGE", LOG_KEY, "-", "+")])
    assert all(fields[0] == b"line" and len(fields) == 2 for _, fields in kept)
    lines = [json.loads(fields[1]) for _, fields in kept]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("batch_written", "info"),
        ("gap_detected", "warning"),
    ]
    assert lines == [json.loads(line) for line in stdout.getvalue().splitlines()[:2]]


def test_a_user_who_may_not_write_the_stream_logs_as_before(
    redis_client: redis.Redis, valkey_url: str, stdout: StringIO
) -> None:
    redis_client.acl_setuser("reader", enabled=True, passwords=["+pw"], commands=["+ping"])
    try:
        with relay_logs(valkey_url.replace("//", "//reader:pw@")):
            log.info("batch_written", rows=3)
    finally:
        redis_client.acl_deluser("reader")
    assert '"rows":3' in stdout.getvalue()
    assert redis_client.exists(LOG_KEY) == 0
