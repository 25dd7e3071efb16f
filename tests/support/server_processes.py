"""The processes of a state directory, as the system sees them."""

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
    """Return those of them that are servers, which may fork, and no watchdogs."""
    return [each for each in processes_on(state_dir) if "python" not in each.name()]


def running_on(state_dir: Path) -> list[str]:
    """Name the servers that run on the directory."""
    return sorted(process.name() for process in servers_on(state_dir))


def as_user(user: struct_passwd) -> list[str]:
    """Return the words before a command that run it as another user.

    It may read every file: root's Python can be where an ordinary user has no access.
    """
    identity = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return ["setpriv", *identity, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
