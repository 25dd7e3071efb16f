"""Servers that a killed process left running.

They are known by their command line: one of our programs, given a path in our state folder.
"""

import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]

from conductor_actors.adapters.embedded.server_process import STOP_SIGNALS
from conductor_actors.errors import ConfigError
from conductor_actors.log_events import OrphanStopped, emit

_PROGRAMS: Final = frozenset({"valkey-server", "postgres", "initdb"})


def stop_orphans(state_dir: Path) -> None:
    """Stop our servers on this folder, and nothing else, and wait until they are gone.

    Only for the holder of the folder's lock: whatever runs on it then has lost its parent.
    """
    for number, patience_s in STOP_SIGNALS:
        orphans = list(_orphans(state_dir))
        for orphan in orphans:
            _send(number, orphan)
        psutil.wait_procs(orphans, patience_s)
        if not orphans:
            return


def _orphans(state_dir: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            program, *arguments = process.cmdline() or [""]
            ours = any(Path(argument).parent == state_dir for argument in arguments)
            if ours and Path(program).name in _PROGRAMS:
                yield process


def _send(number: signal.Signals, orphan: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        try:
            orphan.send_signal(number)
            emit(OrphanStopped(pid=orphan.pid, signal=number.name))
        except psutil.AccessDenied:
            raise ConfigError(
                f"process {orphan.pid} of another user runs on our state folder: stop it"
            ) from None
