"""The command line and its two servers: away, not migrated, or refusing what it needs."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.adapters.postgres.migrations import migrate
from tests.support.databases import migrated_database, temporary_database
from tests.support.event_samples import REACTION
from tests.support.programs import QUICK, Completed, assert_refused, run_to_end, running
from tests.support.servers import temporary_state_dir

SECRET = "pass-w0rd"


@pytest.fixture
def migrated(postgres_url: str) -> Iterator[str]:
    with migrated_database(postgres_url) as url:
        yield url


def test_migrating_twice_changes_nothing_the_second_time(postgres_url: str, tmp_path: Path) -> None:
    with temporary_database(postgres_url) as url:
        first, second = (run_to_end("migrate", cwd=tmp_path, DATABASE_URL=url) for _ in range(2))
    assert first.stdout.splitlines()[0] == "applied 001_tables"
    assert second == Completed(0, "the tables are up to date\n", "")


def test_check_says_one_line_each_and_exits_with_1_until_all_is_well(
    valkey_url: str, postgres_url: str, tmp_path: Path
) -> None:
    with temporary_database(postgres_url) as url:
        urls = {"REDIS_URL": valkey_url, "DATABASE_URL": url}
        before = run_to_end("check", cwd=tmp_path, **urls)
        migrate(url)
        after = run_to_end("check", cwd=tmp_path, **urls)
    assert (before.exit_code, after.exit_code, before.stderr + after.stderr) == (1, 0, "")
    assert [line[:6] for line in before.stdout.splitlines()] == [*["ok    "] * 4, *["FAILED"] * 2]
    assert "run: python -m conductor_actors migrate" in before.stdout
    assert [line[:6] for line in after.stdout.splitlines()] == ["ok    "] * 6


def test_check_says_which_server_is_away(tmp_path: Path) -> None:
    urls = {
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}",
        "DATABASE_URL": f"postgresql://x@127.0.0.1:{free_port()}/x",
    }
    ended = run_to_end("check", cwd=tmp_path, **urls)
    assert (ended.exit_code, ended.stderr) == (1, "")
    _, redis_line, database_line = ended.stdout.splitlines()
    assert redis_line.startswith("FAILED redis: ")
    assert database_line.startswith("FAILED database: ")
    assert "refused" in redis_line
    assert "refused" in database_line


@pytest.fixture(scope="module")
def guarded_url() -> Iterator[str]:
    """Start a PostgreSQL that asks for a password, which is in the URL."""
    with temporary_state_dir(initialised=True) as state_dir, EmbeddedServers(state_dir) as servers:
        url = servers.start_postgres()
        with psycopg.connect(url) as connection:
            connection.execute(f"ALTER ROLE conductor PASSWORD '{SECRET}'")
            (state_dir / "postgres" / "pg_hba.conf").write_text("host all all all scram-sha-256\n")
            pid = int((state_dir / "postgres" / "postmaster.pid").read_text().split("\n")[0])
            os.kill(pid, signal.SIGHUP)
        yield url.replace("conductor@", f"conductor:{SECRET}@")


def test_a_wrong_database_password_ends_it_and_is_never_shown(
    guarded_url: str, valkey_url: str, tmp_path: Path
) -> None:
    good = run_to_end("migrate", cwd=tmp_path, DATABASE_URL=guarded_url)
    assert good.exit_code == 0, good.stderr
    wrong = guarded_url.replace(SECRET, "wr0ng-one")
    ended = run_to_end(cwd=tmp_path, REDIS_URL=valkey_url, DATABASE_URL=wrong)
    assert_refused(ended, "DATABASE_URL", "password")
    assert "wr0ng-one" not in ended.stdout + ended.stderr


def test_an_unknown_database_ends_it_with_2(
    postgres_url: str, valkey_url: str, tmp_path: Path
) -> None:
    url = f"{postgres_url}_missing"
    ended = run_to_end(cwd=tmp_path, REDIS_URL=valkey_url, DATABASE_URL=url)
    assert_refused(ended, "conductor_missing", "create the database", "DATABASE_URL")


@pytest.mark.parametrize("privilege", ["INSERT", "SELECT"])
def test_a_missing_table_permission_ends_it_with_2_and_says_what_to_grant(
    privilege: str, migrated: str, redis_client: redis.Redis, valkey_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(migrated) as connection:
        connection.execute(f"REVOKE {privilege} ON engagement_metrics FROM conductor")
    ended = run_to_end(cwd=tmp_path, REDIS_URL=valkey_url, DATABASE_URL=migrated)
    assert_refused(ended, "DATABASE_URL", privilege, "engagement_metrics")
    assert redis_client.exists("conductor:owner") == 0


class Stranger:
    """A user of Redis with a password, who may do nothing yet."""

    def __init__(self, client: redis.Redis, url: str) -> None:
        self._client: Any = client
        self.url = url.replace("//", f"//stranger:{SECRET}@")
        self.may("reset", "on", f">{SECRET}")

    def may(self, *rules: str) -> None:
        self._client.execute_command("ACL", "SETUSER", "stranger", *rules)


@pytest.fixture
def stranger(redis_client: redis.Redis, valkey_url: str) -> Iterator[Stranger]:
    yield Stranger(redis_client, valkey_url)
    redis_client.acl_deluser("stranger")


def test_a_wrong_redis_password_ends_it_and_is_never_shown(
    stranger: Stranger, migrated: str, tmp_path: Path
) -> None:
    url = stranger.url.replace(SECRET, "wr0ng-one")
    ended = run_to_end(cwd=tmp_path, REDIS_URL=url, DATABASE_URL=migrated)
    assert_refused(ended, "REDIS_URL", "password")
    assert "wr0ng-one" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "rules",
    [
        ("~*", "+@all"),  # no channel
        ("&*", "+@all", "~conductor:*"),  # no stream
    ],
)
def test_a_redis_user_without_rights_ends_it_with_2_and_is_told_what_to_grant(
    rules: tuple[str, ...], stranger: Stranger, migrated: str, tmp_path: Path
) -> None:
    stranger.may(*rules)
    ended = run_to_end(cwd=tmp_path, REDIS_URL=stranger.url, DATABASE_URL=migrated)
    assert_refused(ended, "REDIS_URL", "ACL SETUSER conductor on >PASSWORD ")
    assert SECRET not in ended.stdout + ended.stderr


def test_what_a_redis_user_is_told_to_be_granted_is_enough(
    stranger: Stranger, redis_client: redis.Redis, migrated: str, tmp_path: Path
) -> None:
    urls = {"REDIS_URL": stranger.url, "DATABASE_URL": migrated}
    told = run_to_end(cwd=tmp_path, **urls).stderr
    stranger.may(*told.split(">PASSWORD ")[1].partition(" (")[0].split())
    with running(cwd=tmp_path, **QUICK, **urls) as program:
        program.wait_for("service_started")
        redis_client.xadd(REACTION, {"data": b'{"sessionId":"room"}'})
        redis_client.xadd(REACTION, {"data": b"no event"})
        program.wait_for("batch_written")
        program.signal(signal.SIGTERM)
        assert program.finish().exit_code == 0
    assert program.all("lease_awaited") == program.all("actor_failed") == []
    assert redis_client.xlen("conductor:dead-letters") == 1
