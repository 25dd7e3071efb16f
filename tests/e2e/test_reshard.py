"""Resharding that can't be done, or is interrupted: the exit code, and that no session moves."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from conductor_actors.adapters.redis.key_names import SHARD_COUNT_KEY
from tests.support.databases import temporary_database
from tests.support.programs import QUICK, Program, run_to_end, running

UNAVAILABLE = {"REDIS_URL": "redis://127.0.0.1:1", "DATABASE_URL": "postgresql://u@127.0.0.1:1/d"}
CHANGES = pytest.mark.parametrize(
    ("command", "exit_code"),
    [("run", 0), ("collect --shards 3", 0), ("reshard", 1)],
)


@pytest.fixture
def settings(
    redis_client: redis.Redis, valkey_url: str, postgres_url: str
) -> Iterator[dict[str, str]]:
    """Return the settings of a service on an empty Redis and an empty database."""
    assert not redis_client.dbsize()
    with temporary_database(postgres_url) as url:
        yield QUICK | {
            "REDIS_URL": valkey_url,
            "DATABASE_URL": url,
            "CONDUCTOR_CHECKPOINT_S": "0.5",
        }


def run_two_collectors(settings: dict[str, str], cwd: Path, end: signal.Signals) -> None:
    """Run two collectors until each has a checkpoint; end them with this signal."""
    with running("collect", "--shards", "2", cwd=cwd, **settings) as program:
        first = program.wait_for("checkpoint_committed")["shard"]
        program.wait_for("checkpoint_committed", shard="1/2" if first == "0/2" else "0/2")
        program.signal(end)
        program.finish()


@contextmanager
def paused_writes(client: redis.Redis) -> Iterator[None]:
    """Let every write to this Redis wait until the block ends."""
    client.client_pause(60_000, all=False)
    try:
        yield
    finally:
        client.client_unpause()


def assert_stopped(program: Program, exit_code: int) -> None:
    ended = program.finish()
    assert (ended.exit_code, ended.stderr.count("\n")) == (exit_code, exit_code), ended.stderr
    assert exit_code == 0 or "stopped before the sessions moved" in ended.stderr
    assert program.all("sessions_reshared") == []


@pytest.mark.parametrize("options", [[], ["--shards", "2"]])
def test_reshard_fails_while_redis_is_unavailable(options: list[str], tmp_path: Path) -> None:
    ended = run_to_end("reshard", *options, cwd=tmp_path, **UNAVAILABLE)
    assert (ended.exit_code, ended.stderr.count("\n")) == (1, 1), ended
    assert ended.stderr.startswith("conductor_actors: ")
    assert "127.0.0.1:1" in ended.stderr
    assert "shared by" not in ended.stderr


@pytest.mark.parametrize("command", ["run", "collect", "collect --shards 2"])
def test_a_service_that_starts_while_redis_is_unavailable_waits_for_it(
    command: str, tmp_path: Path
) -> None:
    with running(*command.split(), cwd=tmp_path, **UNAVAILABLE) as program:
        program.wait_for("outage_began")
        program.signal(signal.SIGTERM)
        assert program.finish().exit_code == 0


@CHANGES
def test_a_stop_while_the_old_collectors_read_up_to_now_moves_no_session(
    command: str,
    exit_code: int,
    settings: dict[str, str],
    redis_client: redis.Redis,
    tmp_path: Path,
) -> None:
    run_two_collectors(settings, tmp_path, signal.SIGTERM)
    with (
        paused_writes(redis_client),  # no collector can take its lease and read
        # A signal can interrupt the opening of a file, of which Python warns.
        running(*command.split(), cwd=tmp_path, **settings, PYTHONWARNINGS="") as program,
    ):
        program.wait_for("shard_started")
        program.signal(signal.SIGTERM)
        assert_stopped(program, exit_code)
    assert program.all("shard_killed") == []
    assert redis_client.get(SHARD_COUNT_KEY) == b"2"


@CHANGES
def test_a_stop_while_leases_of_killed_collectors_expire_moves_no_session(
    command: str,
    exit_code: int,
    settings: dict[str, str],
    redis_client: redis.Redis,
    tmp_path: Path,
) -> None:
    run_two_collectors(settings, tmp_path, signal.SIGKILL)
    for shard in range(2):
        redis_client.set(f"conductor:owner:{shard}-of-2", "another host, process 1")
    with running(*command.split(), cwd=tmp_path, **settings) as program:
        wait_until_leases_are_read(redis_client)
        program.signal(signal.SIGTERM)
        assert_stopped(program, exit_code)
    assert program.all("shard_started") == []
    assert redis_client.get(SHARD_COUNT_KEY) == b"2"


def wait_until_leases_are_read(client: redis.Redis) -> None:
    with client.monitor() as monitor:  # type: ignore[no-untyped-call]
        for command in monitor.listen():
            if "conductor:owner:1-of-2" in command["command"]:
                return


def test_reshard_that_is_done_can_be_repeated(
    settings: dict[str, str], redis_client: redis.Redis, tmp_path: Path
) -> None:
    run_two_collectors(settings, tmp_path, signal.SIGTERM)
    for _ in range(2):
        ended = run_to_end("reshard", "--shards", "3", cwd=tmp_path, **settings)
        assert (ended.exit_code, ended.stderr) == (0, "the sessions are shared by 3\n")
        assert redis_client.get(SHARD_COUNT_KEY) == b"3"
