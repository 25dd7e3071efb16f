"""The processes of a state directory, as the system sees them."""

import os
import select
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from pwd import struct_passwd

import psutil  # type: ignore[import-untyped]


def processes_on(state_dir: Path) -> list[psutil.Process]:
    """Return every process whose command line names something in the directory."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(word.startswith(f"{state_dir}/") for word in process.cmdline()):
                found.append(process)
    return found


def servers_on(state_dir: Path) -> list[psutil.Process]:
    """Return those of them that are servers or their forks, without the watchdogs."""
    return [each for each in processes_on(state_dir) if "python" not in each.name()]


def server_names_on(state_dir: Path) -> list[str]:
    """Name the servers that run on the directory."""
    return sorted(process.name() for process in servers_on(state_dir))


def as_user(user: struct_passwd) -> list[str]:
    """Return the words before a command that run it as another user.

    It may read every file: root's Python can be where an ordinary user has no access.
    """
    identity = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return ["setpriv", *identity, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


class ExitWatch:
    """Waits for the end of processes that may not be children; a zombie has ended."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._descriptors = []
        for pid in pids:
            with suppress(ProcessLookupError):
                self._descriptors.append(os.pidfd_open(pid))

    def wait(self, within_s: float) -> None:
        """Wait for all of them, for this time in total."""
        until_s = time.monotonic() + within_s
        for descriptor in self._descriptors:
            left_s = max(0.0, until_s - time.monotonic())
            assert select.select([descriptor], [], [], left_s)[0], f"still runs after {within_s} s"
            os.close(descriptor)
