"""The terminal window is closed: the program drains as it does on SIGTERM."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conductor_actors.app import signals
from tests.support.processes import ROOT, environment
from tests.support.programs import QUICK
from tests.support.server_processes import processes_on
from tests.support.servers import temporary_state_dir
from tests.support.terminal import terminal


def test_closing_the_window_of_the_demo_drains_it_and_stops_its_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with temporary_state_dir(initialised=True) as state_dir:
        monkeypatch.setattr(
            "tests.support.terminal._VARIABLES",
            {**QUICK, "TERM": "xterm", "CONDUCTOR_STATE_DIR": str(state_dir)},
        )
        with terminal("demo", "--sessions", "2", cwd=tmp_path) as window:
            window.wait_for("keynote-opening")
            window.hang_up()
            assert window.ended() == 0
        assert processes_on(state_dir) == []
        log = [json.loads(line) for line in (state_dir / "demo.log").read_text().splitlines()]
    events = [line["event"] for line in log]
    assert events.index("drain_began") < events.index("service_stopped")
    assert "drain_incomplete" not in events


def test_closing_the_window_of_the_service_drains_it(
    valkey_url: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = {"REDIS_URL": valkey_url, "DATABASE_URL": postgres_url}
    monkeypatch.setattr("tests.support.terminal._VARIABLES", {**QUICK, **urls, "TERM": "xterm"})
    with terminal(cwd=tmp_path) as window:
        window.wait_for("service_started")
        window.hang_up()
        assert window.ended() == 0


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


def test_each_stop_signal_drains() -> None:
    assert set(signals.STOP_SIGNALS) == {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
