"""The process that ends Ray's processes once the program that started them has ended."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conductor_actors.cluster import ray_watchdog

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd_open (Linux)")
def test_processes_end_and_the_directory_is_removed_with_the_program(tmp_path: Path) -> None:
    directory = tmp_path / "session"
    directory.mkdir()
    (directory / "log").touch()
    lifeline, program = os.pipe()
    with subprocess.Popen(SLEEP) as one, subprocess.Popen(SLEEP) as ended:
        processes = [os.pidfd_open(each.pid) for each in (one, ended)]
        ended.kill()
        ended.wait()
        with subprocess.Popen(
            [sys.executable, "-I", "-S", ray_watchdog.__file__, str(lifeline), str(directory)]
            + [str(each) for each in processes],
            pass_fds=(lifeline, *processes),
        ) as watchdog:
            os.close(lifeline)
            assert one.poll() is None
            os.close(program)
            assert one.wait(10) == -9
            assert watchdog.wait(10) == 0
    for each in processes:
        os.close(each)
    assert not directory.exists()
