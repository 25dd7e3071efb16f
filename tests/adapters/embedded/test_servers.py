"""The embedded servers: their data, their ports, and their errors for the operator."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis

from conductor_actors.adapters.embedded import watched_process
from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.errors import ConfigError, Unavailable
from tests.adapters.embedded.another_program import (
    PROGRAM,
    another_program,
    read_words,
    write_word,
)
from tests.support.server_processes import as_user, processes_on, server_names_on, servers_on

pytestmark = pytest.mark.e2e
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def test_data_is_kept_after_a_stop_and_a_start(empty_dir: Path) -> None:
    with EmbeddedServers(empty_dir) as servers:
        write_word((servers.start_valkey(), servers.start_postgres()), "kept")
    assert read_words(empty_dir) == ("kept", "kept")


def test_only_the_requested_server_runs_and_only_once(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as servers:
        assert servers.start_valkey() == servers.start_valkey()
        assert server_names_on(state_dir) == ["valkey-server"]


def test_nothing_runs_after_stop_and_stopping_twice_is_harmless(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as servers:
        servers.start_valkey()
        servers.start_postgres()
        assert server_names_on(state_dir) == ["postgres", "valkey-server"]
        servers.stop()
        assert processes_on(state_dir) == []
        servers.stop()
    assert processes_on(state_dir) == []


def test_a_server_that_does_not_react_is_killed(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = [(number, 0.1) for number, _ in watched_process.SHUTDOWN_SIGNALS]
    monkeypatch.setattr(watched_process, "SHUTDOWN_SIGNALS", quick)
    with EmbeddedServers(state_dir) as servers:
        servers.start_valkey()
        for process in servers_on(state_dir):
            process.suspend()
    assert processes_on(state_dir) == []


def test_ctrl_c_reaches_the_program_but_not_its_servers(state_dir: Path) -> None:
    with another_program(state_dir) as (process, _):
        os.killpg(process.pid, signal.SIGINT)
    assert process.returncode == 0
    assert processes_on(state_dir) == []
    assert read_words(state_dir) == ("last", "last")


@pytest.mark.parametrize(
    ("start", "setting"),
    [
        (EmbeddedServers.start_valkey, "REDIS_URL"),
        (EmbeddedServers.start_postgres, "DATABASE_URL"),
    ],
)
def test_without_the_wheels_the_error_says_how_to_install_them(
    start: Callable[[EmbeddedServers], str],
    setting: str,
    empty_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [])
    with EmbeddedServers(empty_dir) as servers, pytest.raises(ConfigError) as raised:
        start(servers)
    assert f"set {setting}, or pip install 'conductor-actors[embedded]'" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not empty_dir.exists()


def test_another_port_is_used_if_a_program_has_taken_the_first(state_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = iter([port, free_port(), port, free_port()])
        with EmbeddedServers(state_dir, lambda: next(ports)) as servers:
            assert str(port) not in servers.start_valkey()
            assert str(port) not in servers.start_postgres()


def test_another_valkey_on_the_port_is_not_mistaken_for_the_embedded_one(state_dir: Path) -> None:
    with EmbeddedServers(state_dir.with_name("elsewhere")) as others:
        port = int(others.start_valkey().split(":")[2].removesuffix("/0"))
        ports = iter([port, free_port()])
        with EmbeddedServers(state_dir, lambda: next(ports)) as servers:
            assert servers.start_valkey() != others.start_valkey()


def test_damaged_valkey_data_is_a_config_error_with_the_log_of_valkey(empty_dir: Path) -> None:
    (empty_dir / "valkey" / "appendonlydir").mkdir(parents=True)
    (empty_dir / "valkey" / "appendonlydir" / "appendonly.aof.manifest").write_text("rubbish\n")
    with EmbeddedServers(empty_dir) as servers, pytest.raises(ConfigError, match="manifest"):
        servers.start_valkey()


def test_a_postgres_that_cannot_start_raises_the_reason(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as servers:
        servers.start_postgres()
        servers.stop()
        (state_dir / "postgres" / "global" / "pg_control").write_bytes(b"rubbish")
        with pytest.raises(Unavailable, match="pg_control"):
            servers.start_postgres()
        (state_dir / "postgres" / "PG_VERSION").write_text("9\n")
        with pytest.raises(ConfigError, match="incompatible with server"):
            servers.start_postgres()


def test_another_postgres_on_the_same_data_is_a_config_error(
    state_dir: Path,
) -> None:
    with EmbeddedServers(state_dir) as servers:
        servers.start_postgres()
        [postmaster] = servers_on(state_dir)
        command, user, group = postmaster.cmdline(), postmaster.uids()[0], postmaster.gids()[0]
    with (
        subprocess.Popen(
            command, user=user, group=group, stderr=subprocess.PIPE, text=True
        ) as other,
        EmbeddedServers(state_dir) as servers,
    ):
        assert other.stderr is not None
        assert any("database system is ready" in line for line in other.stderr)
        with pytest.raises(ConfigError, match="Terminate any old server processes"):
            servers.start_postgres()
        other.send_signal(signal.SIGINT)


def test_a_data_directory_that_was_not_completed_is_created_again(empty_dir: Path) -> None:
    (empty_dir / "postgres.new").mkdir(parents=True)
    (empty_dir / "postgres.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedServers(empty_dir) as servers:
        assert servers.start_postgres()


def test_a_stale_pid_file_that_names_another_process_does_not_prevent_the_start(
    state_dir: Path,
) -> None:
    with EmbeddedServers(state_dir) as servers:
        servers.start_postgres()
        pid_file = state_dir / "postgres" / "postmaster.pid"
        left_behind = pid_file.read_text().split("\n", 1)[1]
        servers.stop()
        owner = (state_dir / "postgres").stat().st_uid
        with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, user=owner) as other:
            pid_file.write_text(f"{other.pid}\n{left_behind}")
            os.chown(pid_file, owner, -1)
            assert servers.start_postgres()


def test_clients_are_not_superusers_and_cannot_connect_as_one(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SHOW is_superuser").fetchone() == ("off",)
    with pytest.raises(psycopg.OperationalError, match="no pg_hba"):
        psycopg.connect(postgres_url.replace("conductor@", "postgres@"))


def test_writes_are_durable_and_the_servers_listen_on_loopback_only(
    valkey_url: str, postgres_url: str
) -> None:
    with redis.Redis.from_url(valkey_url, decode_responses=True) as client:
        settings = client.config_get("append*", "protected-mode", "bind")
    assert (settings["appendonly"], settings["appendfsync"]) == ("yes", "everysec")
    assert (settings["bind"], settings["protected-mode"]) == ("127.0.0.1", "yes")
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)


@needs_root
def test_a_full_disk_is_a_config_error(empty_dir: Path) -> None:
    empty_dir.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=9m", "none", str(empty_dir)]
    if subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(ConfigError, match="No space left"), EmbeddedServers(empty_dir) as full:
            full.start_postgres()
        (empty_dir / "ballast").write_bytes(bytes(shutil.disk_usage(empty_dir).free))
        with pytest.raises(ConfigError, match="No space left"), EmbeddedServers(empty_dir) as full:
            full.start_valkey()
    finally:
        subprocess.run(["umount", empty_dir], check=True)


@needs_root
def test_as_root_a_private_directory_becomes_searchable_but_not_readable(
    empty_dir: Path,
) -> None:
    home = empty_dir.parent
    home.chmod(0o700)
    with EmbeddedServers(empty_dir) as servers:
        assert servers.start_postgres()
    assert home.stat().st_mode & 0o777 == 0o701
    assert (empty_dir / "postgres").stat().st_mode & 0o077 == 0


@needs_root
def test_an_ordinary_user_can_run_both_servers(empty_dir: Path) -> None:
    user = pwd.getpwnam("nobody")
    os.chown(empty_dir.parent, user.pw_uid, user.pw_gid)
    with another_program(empty_dir, user) as (_, urls):
        write_word(urls, "mine")
        owners = {process.uids().real for process in processes_on(empty_dir)}
    assert owners == {user.pw_uid}
    assert read_words(empty_dir) == ("mine", "mine")


@needs_root
def test_the_error_names_a_directory_that_an_ordinary_user_cannot_use() -> None:
    user = pwd.getpwnam("nobody")
    program = [*as_user(user), *PROGRAM, "/not-for-ordinary-users"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert "ConfigError" in done.stderr
    assert "/not-for-ordinary-users" in done.stderr
    assert "Permission denied" in done.stderr
