"""Splitters that are killed again and again, two at once: no reader misses or repeats an event."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import sleep
from typing import Final

import pytest
import redis
from msgspec.structs import asdict
from structlog.typing import EventDict

from conductor_actors.domain.quotas import NO_LIMITS, Limits
from tests.support.event_load import event_load
from tests.support.processes import PYTHON, environment
from tests.support.programs import QUICK
from tests.support.split_partitions import PartitionReaders, entries_in, replay
from tests.support.waiting import wait_until

PARTITIONS: Final = 8
KILLS: Final = 15
PROGRAM: Final = "tests.support.splitter_program"


LIMITS: Final = Limits(1500, 2, 40, 20)


@contextmanager
def splitter(
    url: str, cwd: Path, *arguments: str, limits: Limits = NO_LIMITS
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a splitter as a process until the block ends, which kills it."""
    variables = QUICK | {
        **{f"CONDUCTOR_{name.upper()}": str(value) for name, value in asdict(limits).items()},
        "REDIS_URL": url,
        "CONDUCTOR_PARTITIONS": str(PARTITIONS),
        "CONDUCTOR_TRANSPORT": "streams",
    }
    command = [*PYTHON, "-m", PROGRAM, *arguments]
    process = subprocess.Popen(command, cwd=cwd, env=environment(variables), stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_started(process: subprocess.Popen[bytes]) -> None:
    """Wait until a splitter has its lease."""
    assert process.stdout
    for line in process.stdout:
        if b"splitter_started" in line:
            return
    raise AssertionError("ended before it had its lease")


def kill_again_and_again(url: str, cwd: Path, seed: int, limits: Limits) -> None:
    """Run a splitter, and kill it at a random moment, as often as there are kills."""
    random = Random(seed)
    for _ in range(KILLS):
        with splitter(url, cwd, "--unowned", limits=limits) as process:
            wait_started(process)
            sleep(random.uniform(0, 0.8))


def now_ms(client: redis.Redis) -> int:
    seconds, _ = client.time()
    return int(seconds) * 1000


@pytest.mark.parametrize("limits", [NO_LIMITS, LIMITS], ids=["no limits", "limits"])
def test_two_splitters_at_once_that_are_killed_fifteen_times_each_leave_no_hole(
    valkey_url: str,
    redis_client: redis.Redis,
    tmp_path: Path,
    log_lines: list[EventDict],
    limits: Limits,
) -> None:
    readers = PartitionReaders(valkey_url, PARTITIONS)
    with readers.reading(), event_load(valkey_url):
        with ThreadPoolExecutor(2) as pool:
            runs = [
                pool.submit(kill_again_and_again, valkey_url, tmp_path, seed, limits)
                for seed in (1, 2)
            ]
        for run in runs:
            run.result()
        with splitter(valkey_url, tmp_path, limits=limits) as last:
            wait_started(last)
            until_ms = now_ms(redis_client)
            readers.wait_until(until_ms, 60.0)
    expected = replay(entries_in(valkey_url), until_ms, limits)
    assert bool(expected.refused) == (limits != NO_LIMITS)
    assert len(expected.rows) > 100
    assert readers.rows(until_ms) == expected.rows
    assert not readers.gaps
    assert not [line for line in log_lines if line["event"] == "rewind_requested"]


def test_a_splitter_that_is_killed_is_replaced_when_its_lease_expires_and_no_hole_is_left(
    valkey_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    readers = PartitionReaders(valkey_url, PARTITIONS)
    with (
        readers.reading(),
        event_load(valkey_url),
        splitter(valkey_url, tmp_path) as first,
        splitter(valkey_url, tmp_path) as second,
    ):
        wait_until(lambda: min(readers.watermarks_ms) > 0)
        first_has_it = str(first.pid) in str(redis_client.get("conductor:owner"))
        owner, standby = (first, second) if first_has_it else (second, first)
        owner.kill()
        wait_started(standby)
        until_ms = now_ms(redis_client)
        readers.wait_until(until_ms)
    assert readers.rows(until_ms) == replay(entries_in(valkey_url), until_ms).rows
    assert not readers.gaps


def test_another_number_of_partitions_ends_it_with_2(
    valkey_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    redis_client.set("conductor:partitions", 3)
    with splitter(valkey_url, tmp_path) as process:
        assert process.wait(20) == 2
