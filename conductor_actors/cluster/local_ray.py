"""A Ray of this process alone, on 127.0.0.1, which ends with it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from conductor_actors.cluster.actor_names import ray_namespace
from conductor_actors.cluster.ray_settings import OBJECT_STORE_BYTES, configure_ray_alone
from conductor_actors.cluster.ray_signals import same_signal_handlers
from conductor_actors.cluster.require_ray import require_ray

_WATCHDOG_SCRIPT: Final = str(Path(__file__).with_name("ray_watchdog.py"))
MAX_DIRECTORY_CHARS: Final = 24  # Ray's own names are 70 or so

_PROCESSES: Final = Path("/proc")


@contextmanager
def local_ray(cpus: int) -> Iterator[str]:
    """Start Ray with so many CPUs; stop it and all its processes at the end of the block.

    Return a directory that is removed then, even if this process is killed.
    """
    configure_ray_alone()
    ray = require_ray()
    with ExitStack() as cleanup:
        directory = cleanup.enter_context(
            tempfile.TemporaryDirectory(
                prefix="conductor-ray-", dir=_short_directory(), ignore_cleanup_errors=True
            )
        )
        earlier = set(_descendants())
        with same_signal_handlers():
            ray.init(
                address="local",
                num_cpus=cpus,
                num_gpus=0,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                namespace=ray_namespace(""),
                log_to_driver=False,
                configure_logging=False,
                _node_ip_address="127.0.0.1",
                _temp_dir=directory,
            )
        cleanup.callback(ray.shutdown)
        cleanup.enter_context(_watched(directory, set(_descendants()) - earlier))
        yield directory


@contextmanager
def _watched(directory: str, pids: Collection[int]) -> Iterator[None]:
    """Kill these processes if this one ends within the block, even by SIGKILL."""
    if not hasattr(os, "pidfd_open"):  # where there are none, Ray itself does this
        yield
        return
    with ExitStack() as cleanup:
        processes = []
        for pid in pids:
            with suppress(OSError):  # it has ended meanwhile
                processes.append(os.pidfd_open(pid))
                cleanup.callback(os.close, processes[-1])
        lifeline, ours = os.pipe()
        cleanup.callback(os.close, ours)
        with subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-I", "-S", _WATCHDOG_SCRIPT, str(lifeline), directory]
            + [str(each) for each in processes],
            pass_fds=(lifeline, *processes),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        ) as watchdog:
            os.close(lifeline)
            try:
                yield
            finally:
                watchdog.kill()


def _short_directory() -> str:
    """Return a directory with a short name: the path of a socket has at most 107 bytes."""
    directory = tempfile.gettempdir()
    return directory if len(directory) <= MAX_DIRECTORY_CHARS else "/tmp"  # noqa: S108 - private


def _descendants() -> Iterator[int]:
    """Return the processes that this one and its children have started."""
    parents: dict[int, list[int]] = {}
    for path in _PROCESSES.glob("[0-9]*/stat") if _PROCESSES.is_dir() else ():
        try:
            _, _, fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")
        except OSError:  # it has ended meanwhile
            continue
        parents.setdefault(int(fields.split()[1]), []).append(int(path.parent.name))
    found = parents.get(os.getpid(), [])
    while found:
        pid = found.pop()
        yield pid
        found += parents.get(pid, [])
