"""The service drains when it is stopped, by a signal or with its terminal, whatever it is doing."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.app import signals
from tests.e2e.deployment import REACTION_BODY
from tests.support.databases import temporary_database
from tests.support.event_load import event_load
from tests.support.event_samples import REACTION
from tests.support.processes import ROOT, environment
from tests.support.programs import (
    QUICK,
    replay_rows,
    rows_until,
    running,
    select_rows,
)
from tests.support.server_processes import processes_on, server_names_on
from tests.support.servers import (
    client_of_valkey,
    temporary_state_dir,
)
from tests.support.terminal import terminal


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_ends_it_with_0_after_every_due_row_is_stored(
    ending: signal.Signals, valkey_url: str, postgres_url: str, tmp_path: Path
) -> None:
    with redis.Redis.from_url(valkey_url) as client, temporary_database(postgres_url) as url:
        settings = QUICK | {"REDIS_URL": valkey_url, "DATABASE_URL": url}
        with running(cwd=tmp_path, **settings) as program:
            program.wait_for("service_started")
            with event_load(valkey_url):
                for _ in range(4):
                    program.wait_for("tick_completed", sessions=50)
                program.wait_for("batch_written")
                program.signal(ending)
                program.wait_for("drain_began")
                program.signal(ending)  # once more changes nothing
                ended = program.finish()
        assert (ended.exit_code, ended.stderr) == (0, "")
        assert client.exists("conductor:owner") == 0  # the next start need not wait
        rows = select_rows(url)
        assert rows == rows_until(rows[-1][0], replay_rows(valkey_url, tmp_path, **settings))
    ticks = program.all("tick_completed")
    assert len(rows) == sum(tick["sessions"] for tick in ticks)
    assert sum(line["events"] for line in program.all("events_routed")) > 2000
    assert program.all("drain_incomplete") == []
    assert program.lines[-1]["event"] == "service_stopped"
    assert program.lines[-1]["exit_code"] == 0


def test_ctrl_c_stops_the_embedded_servers_too_and_the_next_start_has_the_data(
    tmp_path: Path,
) -> None:
    with temporary_state_dir(initialised=True) as state_dir:
        settings = QUICK | {"CONDUCTOR_STATE_DIR": str(state_dir)}
        with running(cwd=tmp_path, **settings) as program:
            with client_of_valkey(program) as client:
                program.wait_for("service_started")
                client.xadd(REACTION, {"data": REACTION_BODY})
            program.wait_for("tick_completed", sessions=1)
            assert {*server_names_on(state_dir)} == {
                "postgres",
                "valkey-server",
            }  # which may fork to save
            program.press_ctrl_c()
            ended = program.finish()
            assert (ended.exit_code, ended.stderr) == (0, "")
            assert processes_on(state_dir) == []
        with EmbeddedServers(state_dir) as servers:
            with redis.Redis.from_url(servers.start_valkey()) as client:
                assert [fields for _, fields in client.xrange(REACTION)] == [
                    {b"data": REACTION_BODY}
                ]
            rows = select_rows(servers.start_postgres())
        assert len(rows) == len(program.all("tick_completed"))
        assert {row[2] for row in rows} == {"room"}


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_embedded_servers_start_leaves_nothing_running(
    ending: signal.Signals, tmp_path: Path
) -> None:
    with (
        temporary_state_dir() as state_dir,
        # A signal can interrupt the opening of a file, of which Python warns.
        running(cwd=tmp_path, CONDUCTOR_STATE_DIR=str(state_dir), PYTHONWARNINGS="") as program,
    ):
        program.wait_for("server_started", server="valkey")
        program.signal(ending)
        ended = program.finish()
        assert (ended.exit_code, ended.stderr) == (0, "")
        assert program.all("service_started") == []
        assert processes_on(state_dir) == []


@pytest.mark.parametrize("away", ["database", "redis"])
def test_a_signal_while_it_waits_for_a_server_ends_it_at_once(
    away: str, valkey_url: str, postgres_url: str, tmp_path: Path
) -> None:
    urls = {"REDIS_URL": valkey_url, "DATABASE_URL": postgres_url}
    if away == "database":
        urls["DATABASE_URL"] = f"postgresql://conductor@127.0.0.1:{free_port()}/conductor"
    else:
        urls["REDIS_URL"] = f"redis://127.0.0.1:{free_port()}"
    with running(cwd=tmp_path, **urls) as program:
        program.wait_for("outage_began", service=away)
        program.signal(signal.SIGTERM)
        ended = program.finish(deadline_s=3)
    assert (ended.exit_code, ended.stderr) == (0, "")


def test_closing_the_terminal_of_the_demo_drains_it_and_stops_its_servers(
    tmp_path: Path,
) -> None:
    with temporary_state_dir(initialised=True) as state_dir:
        variables = QUICK | {"CONDUCTOR_STATE_DIR": str(state_dir)}
        with terminal("demo", "--sessions", "2", cwd=tmp_path, variables=variables) as window:
            window.wait_for("keynote-opening")
            window.hang_up()
            assert window.wait() == 0
        assert processes_on(state_dir) == []
        log = [json.loads(line) for line in (state_dir / "demo.log").read_text().splitlines()]
    events = [line["event"] for line in log]
    assert events.index("drain_began") < events.index("service_stopped")
    assert "drain_incomplete" not in events


def test_closing_the_terminal_of_the_service_drains_it(
    valkey_url: str, postgres_url: str, tmp_path: Path
) -> None:
    urls = {"REDIS_URL": valkey_url, "DATABASE_URL": postgres_url}
    with terminal(cwd=tmp_path, variables=QUICK | urls) as window:
        window.wait_for("service_started")
        window.hang_up()
        assert window.wait() == 0


def test_a_program_under_nohup_ignores_a_hang_up() -> None:
    code = (
        "import os, signal\n"
        "from conductor_actors.app.signals import exit_on_stop_signals\n"
        "exit_on_stop_signals(3)\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "print('still here')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment({}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "still here\n"), done.stderr


def test_ctrl_c_a_termination_and_a_hang_up_are_the_stop_signals() -> None:
    assert set(signals.STOP_SIGNALS) == {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
