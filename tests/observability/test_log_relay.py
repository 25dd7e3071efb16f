"""The relay of log lines to Redis: logging never blocks, and lost lines are counted."""

import json
from collections.abc import Iterator
from contextlib import closing
from io import StringIO

import pytest
import redis
import structlog

from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.key_names import LOG_KEY
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
def _retry_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conductor_actors.observability.log_relay.RETRY_INTERVAL_S", 0.01)


def test_lines_arrive_in_order_and_closing_sends_those_that_wait() -> None:
    stored = MemoryLines()
    with closing(LogRelay(stored)) as relay:
        for number in range(2000):
            relay.add(f"{number}")
    assert stored.lines == [f"{number}" for number in range(2000)]


def test_lines_wait_during_an_outage_and_arrive_in_order_after_it(
    stdout: StringIO,
) -> None:
    stored = MemoryLines()
    stored.outage = Unavailable("away")
    with closing(LogRelay(stored)) as relay:
        for number in range(600):
            relay.add(f"{number}")
        stored.wait_for(attempts=3)
        stored.outage = None
        stored.wait_for(lines=600)
    assert stored.lines == [f"{number}" for number in range(600)]
    assert stdout.getvalue() == ""  # the users of Redis report its outage


@pytest.mark.parametrize("outage", [Unavailable("away"), ConfigError("no grant")])
def test_lines_over_the_limit_are_dropped_and_counted_after_the_outage(
    outage: Exception, stdout: StringIO
) -> None:
    stored = MemoryLines()
    stored.outage = outage
    with closing(LogRelay(stored, limit=10)) as relay:
        for number in range(25):
            relay.add(f"{number}")
        stored.wait_for(attempts=stored.attempts + 2)
        stored.outage = None
        stored.wait_for(lines=10)
    assert stored.lines == [f"{number}" for number in range(10)]
    reported = [json.loads(line) for line in stdout.getvalue().splitlines()]
    assert [line["event"] for line in reported] == [
        "outage_began",
        "outage_ended",
        "log_lines_dropped",
    ]
    assert reported[-1]["lines"] == 15


def test_closing_during_an_outage_does_not_wait_for_redis() -> None:
    stored = MemoryLines()
    stored.outage = Unavailable("away")
    relay = LogRelay(stored)
    relay.add("line")
    stored.wait_for(attempts=1)
    relay.close()
    assert stored.lines == []
    assert not relay._thread.is_alive()


def test_every_log_line_is_in_the_stream_as_json(
    redis_client: redis.Redis, valkey_url: str, stdout: StringIO
) -> None:
    with relay_logs(valkey_url):
        log.info("batch_written", rows=3)
        log.debug("batch_written", rows=4)
        log.bind(tenant="acme").warning("gap_detected", lost_events=None)
    log.info("batch_written", rows=5)
    [stored] = pipeline(redis_client, [("XRANGE", LOG_KEY, "-", "+")])
    assert all(fields[0] == b"line" and len(fields) == 2 for _, fields in stored)
    lines = [json.loads(fields[1]) for _, fields in stored]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("batch_written", "info"),
        ("gap_detected", "warning"),
    ]
    assert lines == [json.loads(line) for line in stdout.getvalue().splitlines()[:2]]


def test_a_redis_user_without_access_to_the_stream_still_logs_to_stdout(
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
