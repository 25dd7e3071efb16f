"""The program's side of a watched process."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conductor_actors.adapters.embedded import watched_process
from conductor_actors.adapters.embedded.state_directory import StateDirectory
from conductor_actors.adapters.embedded.watched_process import WatchedProcess


def test_a_process_that_ends_just_before_its_watchdog_is_stopped_without_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_process, "SHUTDOWN_SIGNALS", ((signal.SIGINT, 0.01),))
    directory = StateDirectory(tmp_path)
    directory.acquire()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    process = WatchedProcess(["/bin/sleep", "100"], None, directory, subprocess.DEVNULL)
    process.pid = ended.pid  # its watchdog runs still
    assert process.stop() is None
    directory.release()
