"""The splitter on a real Redis: what it continues from, what it writes again, and its limits."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any, Final

import msgspec
import pytest
import redis
from structlog.testing import capture_logs
from structlog.typing import EventDict

from conductor_actors.adapters.redis.partitions import partition_servers
from conductor_actors.app import split_loop
from conductor_actors.app.splitter import SplitterService
from conductor_actors.app.startup import ServerUrls
from conductor_actors.domain.quotas import NO_LIMITS, Limits
from conductor_actors.errors import ConfigError
from conductor_actors.settings import Settings
from conductor_actors.simulate import Simulation
from tests.support.event_samples import CHAT
from tests.support.split_partitions import PartitionReaders, entries_in, replay
from tests.support.valkey_servers import valkey_server
from tests.support.waiting import wait_until

STREAM = "conductor:part:{%d}"


QUICK: Final[dict[str, Any]] = {
    "partitions": 4,
    "start": "earliest",
    "transport": "streams",
    "tenants": ("acme",),
    "tick_s": 1,
    "window_s": 10,
    "session_timeout_s": 60,
    "presence_timeout_s": 60,
    "tenant_events_per_s": 0,
    "tenant_sessions": 0,
    "session_events_per_s": 0,
}


def settings(url: str, **others: Any) -> Settings:
    return Settings(redis_url=url, **QUICK | others)


def service(url: str, **others: Any) -> SplitterService:
    return SplitterService(settings(url, **others), ServerUrls(url, ""))


@contextmanager
def running(splitter: SplitterService) -> Iterator[SplitterService]:
    """Run a splitter until the block ends; it must end well."""
    exit_codes: list[int] = []
    thread = Thread(target=lambda: exit_codes.append(splitter.run()))
    thread.start()
    try:
        yield splitter
    finally:
        splitter.stop()
        thread.join(20)
    assert exit_codes == [0]


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    with capture_logs() as lines:
        yield lines


@pytest.fixture(autouse=True)
def _frequent_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_loop, "CHECKPOINT_INTERVAL_S", 0.2)


def add_events(client: redis.Redis, seconds: float = 5, seed: int = 1) -> None:
    """Add events of 20 sessions of two tenants."""
    simulation = Simulation(sessions=20, seed=seed, tenants=("default", "acme"))
    with client.pipeline(transaction=False) as pipeline:
        for step in range(int(seconds * 4)):
            for name, body in simulation.step(step / 4, 0.25):
                pipeline.xadd(name, {"data": body})
        pipeline.execute()


def now_ms(client: redis.Redis) -> int:
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000


def assert_rows_of_a_replay(
    url: str, readers: PartitionReaders, until_ms: int, limits: Limits = NO_LIMITS
) -> Counter[tuple[str, str]]:
    """Check the rows; return what the replay refused."""
    expected = replay(entries_in(url), until_ms, limits)
    assert expected.rows
    assert readers.rows(until_ms) == expected.rows
    return Counter(expected.refused)


def refused(lines: list[EventDict]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for line in lines:
        if line["event"] == "events_refused":
            found[line["tenant"], line["reason"]] += line["events"]
    return found


@pytest.mark.parametrize("partitions", [1, 4, 64])
@pytest.mark.parametrize(
    "limits", [NO_LIMITS, Limits(20, 2, 6, 3), Limits(20, 2), Limits(tenant_sessions=5)]
)
def test_partitions_have_the_rows_of_a_replay_and_what_it_refuses_is_refused(
    partitions: int,
    limits: Limits,
    valkey_url: str,
    redis_client: redis.Redis,
    lines: list[EventDict],
) -> None:
    add_events(redis_client)
    given = msgspec.structs.asdict(limits) | {"partitions": partitions}
    readers = PartitionReaders(valkey_url, partitions)
    with running(service(valkey_url, **given)), readers.reading():
        add_events(redis_client, seconds=2, seed=2)
        until_ms = now_ms(redis_client) // 1000 * 1000 + 1000
        readers.wait_until(until_ms)
    expected = assert_rows_of_a_replay(valkey_url, readers, until_ms, limits)
    assert refused(lines) == expected
    assert bool(expected) == (limits != NO_LIMITS)


def test_the_next_splitter_continues_where_the_last_one_stopped(
    valkey_url: str, redis_client: redis.Redis, lines: list[EventDict]
) -> None:
    readers = PartitionReaders(valkey_url, 4)
    with readers.reading():
        for seed in range(3):
            add_events(redis_client, seconds=1, seed=seed)
            with running(service(valkey_url)):
                readers.wait_until(now_ms(redis_client) + 1000)
        until_ms = min(readers.watermarks_ms) // 1000 * 1000
    assert_rows_of_a_replay(valkey_url, readers, until_ms)
    starts = [line for line in lines if line["event"] == "splitter_started"]
    assert [line["frontier_ms"] > 0 for line in starts] == [False, True, True]
    assert not [line for line in lines if line["event"] == "rewind_requested"]
    assert redis_client.get("conductor:owner") is None


def test_a_second_splitter_waits_until_the_first_has_ended(
    valkey_url: str, redis_client: redis.Redis
) -> None:
    with running(service(valkey_url)) as first:
        wait_until(lambda: first.status().state == "running")
        with running(service(valkey_url)) as second:
            wait_until(lambda: second.status().state == "standby")
            first.stop()
            wait_until(lambda: second.status().state == "running")
            add_events(redis_client, seconds=1)
            wait_until(lambda: second.status().events > 0)
            wait_until(lambda: second.status().frontier_ms > now_ms(redis_client) - 1000)
    assert first.status().state == second.status().state == "ended"


def test_a_splitter_whose_owner_is_known_to_have_ended_is_replaced_at_once(
    valkey_url: str, redis_client: redis.Redis
) -> None:
    redis_client.set("conductor:owner", "gone", px=60_000)
    urls = ServerUrls(valkey_url, "")
    next_one = SplitterService(settings(valkey_url), urls, "me", lambda owner: owner == "gone")
    with running(next_one):
        wait_until(lambda: redis_client.get("conductor:owner") == b"me")


def test_blocks_that_are_lost_are_written_again_and_no_other_partition_waits(
    valkey_url: str, redis_client: redis.Redis, lines: list[EventDict]
) -> None:
    add_events(redis_client)
    with running(service(valkey_url)) as splitter:
        added_ms = now_ms(redis_client)
        wait_until(lambda: splitter.status().frontier_ms > added_ms)
        redis_client.delete(STREAM % 1, STREAM % 2)
        add_events(redis_client, seconds=1, seed=2)
        readers = PartitionReaders(valkey_url, 4)
        with readers.reading():
            until_ms = now_ms(redis_client) // 1000 * 1000 + 1000
            readers.wait_until(until_ms)
            redis_client.xtrim(STREAM % 3, 0)
            wait_until(lambda: redis_client.xlen(STREAM % 3) > 0)
            until_ms += 3000
            readers.wait_until(until_ms)
    assert_rows_of_a_replay(valkey_url, readers, until_ms)
    assert not readers.gaps
    assert {line["reason"] for line in lines if line["event"] == "rewind_requested"} == {"hole"}
    written = [line for line in lines if line["event"] == "blocks_rewritten"]
    assert {line["lost_s"] for line in written} == {0.0}


def test_what_can_not_be_read_again_is_a_gap_and_reading_goes_on(
    valkey_url: str, redis_client: redis.Redis, lines: list[EventDict]
) -> None:
    add_events(redis_client)
    with running(service(valkey_url)) as splitter:
        wait_until(lambda: splitter.status().frontier_ms > now_ms(redis_client) - 1000)
        wait_until(lambda: int(redis_client.xlen("conductor:splitter")) > 3)
        redis_client.delete(STREAM % 1)
        redis_client.xtrim("conductor:splitter", 1, approximate=False)
        readers = PartitionReaders(valkey_url, 4)
        with readers.reading():
            readers.wait_until(now_ms(redis_client) + 1000)
    assert [gap.reason for gap in readers.gaps] == ["trimmed"]
    assert [line["reason"] for line in lines if line["event"] == "gap_detected"] == ["trimmed"]
    [line] = [line for line in lines if line["event"] == "blocks_rewritten"]
    assert line["lost_s"] > 0
    assert line["partitions"] == 1


def test_a_server_of_partitions_that_is_away_delays_no_others_and_loses_nothing(
    valkey_url: str,
    redis_client: redis.Redis,
    lines: list[EventDict],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partition_servers, "PARTITIONS_MAX_BACKOFF_S", 0.5)
    with valkey_server() as other:
        urls = (valkey_url, other.url)
        with running(service(valkey_url, partitions=2, partition_redis_urls=urls)) as splitter:
            first, second = PartitionReaders(valkey_url, 2), PartitionReaders(other.url, 2)
            first.only(0)
            add_events(redis_client, seconds=1)
            wait_until(lambda: splitter.status().events > 0)
            with first.reading():
                other.kill()
                add_events(redis_client, seconds=1, seed=2)
                first.wait_until(now_ms(redis_client) + 2000, 10.0, 0)
                other.start()
                second.only(1)
                with second.reading():
                    add_events(redis_client, seconds=1, seed=3)
                    until_ms = now_ms(redis_client) // 1000 * 1000 + 2000
                    first.wait_until(until_ms, 20.0, 0)
                    second.wait_until(until_ms, 20.0, 1)
    first.entries[1] = second.entries[1]
    assert_rows_of_a_replay(valkey_url, first, until_ms)
    assert "outage_began" in {line["event"] for line in lines}


def test_another_number_of_partitions_is_refused(valkey_url: str) -> None:
    with running(service(valkey_url)) as splitter:
        wait_until(lambda: splitter.status().state == "running")
    with pytest.raises(ConfigError, match="CONDUCTOR_PARTITIONS=5: the sessions are in 4"):
        service(valkey_url, partitions=5).run()


def test_what_is_read_first_is_the_same_for_every_splitter(
    valkey_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one ends before it has written a block; the next one reads from the same start."""
    redis_client.xadd(CHAT, {"data": b"{}"})
    monkeypatch.setattr(split_loop.SplitLoop, "run", lambda *_: None)
    with running(service(valkey_url, start="window")):
        wait_until(lambda: bool(redis_client.exists("conductor:splitter")))
    monkeypatch.undo()
    before_ms = now_ms(redis_client)
    wait_until(lambda: now_ms(redis_client) > before_ms + 1000)  # a first read would differ now
    readers = PartitionReaders(valkey_url, 4)
    with running(service(valkey_url, start="window")), readers.reading():
        readers.wait_until(now_ms(redis_client))
    assert all(ms and ms <= before_ms for ms in readers.first_ticks_ms)
    assert len(readers.entries[0]) == 1
