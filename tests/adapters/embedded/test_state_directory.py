"""One program at a time uses a state directory, and others can find its servers."""

import fcntl
from pathlib import Path

import pytest
import redis

from conductor_actors.adapters.embedded import state_directory
from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.adapters.embedded.state_directory import running_url
from conductor_actors.errors import ConfigError
from tests.adapters.embedded.another_program import another_program
from tests.support.server_processes import server_names_on

pytestmark = pytest.mark.e2e


def test_an_error_names_the_process_that_uses_the_directory(state_dir: Path) -> None:
    with another_program(state_dir) as (program, _):
        with pytest.raises(ConfigError, match=rf"in use by process {program.pid}:"):
            EmbeddedServers(state_dir).start_valkey()
        assert server_names_on(state_dir).count("valkey-server") == 1


def test_the_directory_is_free_after_stop_and_locked_again_by_the_next_start(
    state_dir: Path,
) -> None:
    with EmbeddedServers(state_dir) as first, EmbeddedServers(state_dir) as second:
        for holder, other in ((first, second), (second, first)):
            holder.start_valkey()
            with pytest.raises(ConfigError, match="in use"):
                other.start_valkey()
            holder.stop()
        first.start_valkey()
        with pytest.raises(ConfigError, match="in use"):
            second.start_valkey()


def test_a_server_that_outlives_its_program_keeps_the_directory_locked(
    empty_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_directory, "_SERVERS_END_TIMEOUT_S", 0.0)
    empty_dir.mkdir()
    with (empty_dir / "servers").open("a") as servers:
        fcntl.flock(servers, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="in use by a server that an earlier program started"):
            EmbeddedServers(empty_dir).start_valkey()


def test_a_running_server_is_found_by_its_directory(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as servers:
        url = servers.start_valkey()
        assert running_url(state_dir, "valkey") == url
        assert running_url(state_dir, "postgres") is None
        with redis.Redis.from_url(url) as client:
            assert client.ping()
    assert running_url(state_dir, "valkey") is None


def test_no_server_is_found_in_a_missing_directory(tmp_path: Path) -> None:
    assert running_url(tmp_path / "missing", "valkey") is None


def test_a_directory_that_cannot_be_created_is_a_config_error(empty_dir: Path) -> None:
    empty_dir.write_text("a file")
    with EmbeddedServers(empty_dir) as servers, pytest.raises(ConfigError, match="STATE_DIR"):
        servers.start_valkey()
