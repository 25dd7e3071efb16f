import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest
import redis

from conductor_actors.adapters.embedded import server_process
from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.errors import ConfigError, Unavailable

# Another process with both servers: it names them, and leaves when its input ends. A Ctrl-C makes
# it write a last word to both.
_PROGRAM = """
import sys
from pathlib import Path
import psycopg, redis
from conductor_actors.adapters import embedded_server
from conductor_actors.adapters.embedded.servers import EmbeddedServers

with EmbeddedServers(Path(sys.argv[1])) as servers:
    urls = servers.start_valkey(), servers.start_postgres()
    try:
        print("urls", *urls, flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        with redis.Redis.from_url(urls[0]) as client:
            client.set("word", "last")
        with psycopg.connect(urls[1]) as connection:
            connection.execute("CREATE TABLE words AS SELECT 'last' AS word")
"""

pytestmark = pytest.mark.e2e
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def state_dir() -> Iterator[Path]:
    # Not pytest's own folder: it shuts out the account that runs PostgreSQL when we are root.
    with TemporaryDirectory() as folder:
        yield Path(folder).resolve() / 'it\'s the "staté" folder'


@contextmanager
def another_process(state_dir: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _PROGRAM, str(state_dir)],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        lines = process.stdout or ()
        yield process, next(line.split()[1:] for line in lines if line.startswith("urls"))
        process.communicate()


def processes_on(state_dir: Path) -> list[psutil.Process]:
    """Return whatever process has a command line that names the folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(word.startswith(f"{state_dir}/") for word in process.info["cmdline"] or ())
    ]


def running_on(state_dir: Path) -> list[str]:
    return sorted(process.name() for process in processes_on(state_dir))


def write_word(urls: Sequence[str], word: str) -> None:
    with redis.Redis.from_url(urls[0]) as client:
        client.set("word", word)
    with psycopg.connect(urls[1]) as connection:
        connection.execute("CREATE TABLE words (word text)")
        connection.execute("INSERT INTO words VALUES (%s)", (word,))


def read_words(state_dir: Path) -> tuple[str, str]:
    """Start both servers on the folder and return what they remember."""
    with EmbeddedServers(state_dir) as servers:
        with redis.Redis.from_url(servers.start_valkey(), decode_responses=True) as client:
            from_valkey = client.get("word")
        with psycopg.connect(servers.start_postgres()) as connection:
            rows = connection.execute("SELECT word FROM words").fetchall()
    return str(from_valkey), str(rows[0][0])


def test_data_is_there_after_stop_and_start(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as servers:
        write_word((servers.start_valkey(), servers.start_postgres()), "kept")
    assert read_words(state_dir) == ("kept", "kept")


def test_only_the_server_that_is_asked_for_runs_and_only_once(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as servers:
        assert servers.start_valkey() == servers.start_valkey()
        assert running_on(state_dir) == ["valkey-server"]


def test_nothing_runs_after_stop_and_stopping_twice_is_harmless(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as servers:
        servers.start_valkey()
        servers.start_postgres()
        assert running_on(state_dir) == ["postgres", "valkey-server"]
        servers.stop()
        assert running_on(state_dir) == []
        servers.stop()
    assert running_on(state_dir) == []


def test_the_folder_is_free_after_stop_and_taken_again_by_the_next_start(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as first, EmbeddedServers(state_dir) as second:
        for holder, other in ((first, second), (second, first)):
            holder.start_valkey()
            with pytest.raises(ConfigError, match="in use"):
                other.start_valkey()
            holder.stop()
        first.start_valkey()
        with pytest.raises(ConfigError, match="in use"):
            second.start_valkey()


def test_a_server_that_does_not_react_is_stopped_by_force(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = [(number, 0.1) for number, _ in server_process.STOP_SIGNALS]
    monkeypatch.setattr(server_process, "STOP_SIGNALS", quick)
    with EmbeddedServers(state_dir) as servers:
        servers.start_valkey()
        for process in processes_on(state_dir):
            process.suspend()
    assert running_on(state_dir) == []


def test_after_kill_9_the_next_start_stops_the_orphans_and_has_the_data(state_dir: Path) -> None:
    with another_process(state_dir) as (process, urls):
        write_word(urls, "survived")
        orphans = psutil.Process(process.pid).children()
        process.kill()
    assert [orphan.is_running() for orphan in orphans] == [True, True]
    assert read_words(state_dir) == ("survived", "survived")
    assert [orphan.is_running() for orphan in orphans] == [False, False]


def test_a_process_that_is_not_our_server_on_our_folder_is_left_alone(state_dir: Path) -> None:
    elsewhere = state_dir.with_name("elsewhere")
    names_our_folder = [sys.executable, "-c", "input()", f"{state_dir}/valkey"]
    with (
        EmbeddedServers(elsewhere) as others,
        subprocess.Popen(names_our_folder, stdin=subprocess.PIPE) as stranger,
    ):
        others.start_valkey()
        with EmbeddedServers(state_dir) as servers:
            servers.start_valkey()
        assert running_on(elsewhere) == ["valkey-server"]
        assert stranger.poll() is None
        stranger.kill()


def test_a_second_process_on_the_folder_is_told_who_has_it(state_dir: Path) -> None:
    with another_process(state_dir) as (process, _):
        with pytest.raises(ConfigError, match=rf"in use by process {process.pid}:"):
            EmbeddedServers(state_dir).start_valkey()
        assert running_on(state_dir).count("valkey-server") == 1


def test_ctrl_c_reaches_us_but_not_the_servers(state_dir: Path) -> None:
    with another_process(state_dir) as (process, _):
        os.killpg(process.pid, signal.SIGINT)
    assert process.returncode == 0
    assert running_on(state_dir) == []
    assert read_words(state_dir) == ("last", "last")


@pytest.mark.parametrize(
    ("start", "setting"),
    [
        (EmbeddedServers.start_valkey, "REDIS_URL"),
        (EmbeddedServers.start_postgres, "DATABASE_URL"),
    ],
)
def test_without_the_wheels_one_line_says_what_to_do(
    start: Callable[[EmbeddedServers], str],
    setting: str,
    state_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [])
    with EmbeddedServers(state_dir) as servers, pytest.raises(ConfigError) as raised:
        start(servers)
    assert f"set {setting}, or pip install 'conductor-actors[embedded]'" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not state_dir.exists()


def test_a_port_that_was_taken_meanwhile_is_given_up_for_another(state_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = iter([port, free_port(), port, free_port()])
        with EmbeddedServers(state_dir, lambda: next(ports)) as servers:
            assert str(port) not in servers.start_valkey()
            assert str(port) not in servers.start_postgres()


def test_another_valkey_on_the_port_is_not_taken_for_ours(state_dir: Path) -> None:
    with EmbeddedServers(state_dir.with_name("elsewhere")) as others:
        port = int(others.start_valkey().split(":")[2].removesuffix("/0"))
        ports = iter([port, free_port()])
        with EmbeddedServers(state_dir, lambda: next(ports)) as servers:
            assert servers.start_valkey() != others.start_valkey()


def test_a_folder_that_cannot_be_made_is_for_the_operator(state_dir: Path) -> None:
    state_dir.write_text("a file")
    with EmbeddedServers(state_dir) as servers, pytest.raises(ConfigError, match="STATE_DIR"):
        servers.start_valkey()


def test_broken_valkey_data_is_for_the_operator_and_its_log_is_shown(state_dir: Path) -> None:
    (state_dir / "valkey" / "appendonlydir").mkdir(parents=True)
    (state_dir / "valkey" / "appendonlydir" / "appendonly.aof.manifest").write_text("rubbish\n")
    with EmbeddedServers(state_dir) as servers, pytest.raises(ConfigError, match="manifest"):
        servers.start_valkey()


def test_a_postgres_that_cannot_start_says_why(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as servers:
        servers.start_postgres()
        servers.stop()
        (state_dir / "postgres" / "global" / "pg_control").write_bytes(b"rubbish")
        with pytest.raises(Unavailable, match="pg_control"):
            servers.start_postgres()
        (state_dir / "postgres" / "PG_VERSION").write_text("9\n")
        with pytest.raises(ConfigError, match="incompatible with server"):
            servers.start_postgres()


def test_a_making_of_the_database_that_was_cut_short_is_begun_anew(state_dir: Path) -> None:
    (state_dir / "postgres.new").mkdir(parents=True)
    (state_dir / "postgres.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedServers(state_dir) as servers:
        assert servers.start_postgres()


def test_a_pid_file_that_names_a_stranger_by_now_does_not_stop_the_start(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as servers:
        servers.start_postgres()
        pid_file = state_dir / "postgres" / "postmaster.pid"
        left_behind = pid_file.read_text().split("\n", 1)[1]
        servers.stop()
        owner = (state_dir / "postgres").stat().st_uid
        with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, user=owner) as stranger:
            pid_file.write_text(f"{stranger.pid}\n{left_behind}")
            os.chown(pid_file, owner, -1)
            assert servers.start_postgres()


def test_whoever_connects_is_no_superuser_and_nobody_can_be_one(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SHOW is_superuser").fetchone() == ("off",)
    with pytest.raises(psycopg.OperationalError, match="no pg_hba"):
        psycopg.connect(postgres_url.replace("conductor@", "postgres@"))


def test_writes_are_durable_and_only_loopback_is_listened_on(
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
def test_a_full_disk_is_for_the_operator(state_dir: Path) -> None:
    state_dir.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=9m", "none", str(state_dir)]
    if subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(ConfigError, match="No space left"), EmbeddedServers(state_dir) as full:
            full.start_postgres()
        (state_dir / "ballast").write_bytes(bytes(shutil.disk_usage(state_dir).free))
        with pytest.raises(ConfigError, match="No space left"), EmbeddedServers(state_dir) as full:
            full.start_valkey()
    finally:
        subprocess.run(["umount", state_dir], check=True)


@needs_root
def test_as_root_a_folder_closed_to_others_becomes_passable_but_not_readable(
    state_dir: Path,
) -> None:
    home = state_dir.parent
    home.chmod(0o700)
    with EmbeddedServers(state_dir) as servers:
        assert servers.start_postgres()
    assert home.stat().st_mode & 0o777 == 0o701
    assert (state_dir / "postgres").stat().st_mode & 0o077 == 0


@needs_root
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_an_ordinary_user_can_run_both(state_dir: Path) -> None:
    ordinary = pwd.getpwnam("nobody")
    os.chown(state_dir.parent, ordinary.pw_uid, ordinary.pw_gid)
    # A fork, since an ordinary user may not reach the Python of root.
    child = get_context("fork").Process(target=_as_ordinary, args=(ordinary.pw_uid, state_dir))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert running_on(state_dir) == []


def _as_ordinary(uid: int, state_dir: Path) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    with EmbeddedServers(state_dir) as servers:
        write_word((servers.start_valkey(), servers.start_postgres()), "mine")
        assert {process.uids().real for process in processes_on(state_dir)} == {uid}
    assert read_words(state_dir) == ("mine", "mine")
    with pytest.raises(ConfigError, match="Permission denied"):
        EmbeddedServers(Path("/not-for-ordinary-users")).start_valkey()
