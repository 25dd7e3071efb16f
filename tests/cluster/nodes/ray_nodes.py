"""The nodes of a Ray cluster on one machine, each started with `ray start` as an operator does.

A node has an address and a PID namespace of its own: it is killed at once and whole, as a machine
fails, and its processes can't be mistaken for those of another.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final

import psutil  # type: ignore[import-untyped]

from tests.support.processes import ROOT
from tests.support.waiting import wait_until

HEAD_ADDRESS: Final = "10.17.0.1"
GCS_PORT: Final = 6379
RAY_ADDRESS: Final = f"{HEAD_ADDRESS}:{GCS_PORT}"
STARTED_WITHIN_S: Final = 60.0

_TOKEN: Final = "3f1c6f2a9d0e4b7c8a5d2e1f0b9c8d7e"  # of the tests alone
_SMALL_OBJECT_STORE: Final = 80_000_000
_STARTED: Final = "Ray runtime started"
_IN_NAMESPACE: Final = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")

# An operator's settings of Ray: a token, and nodes that are declared dead after 3 to 4 s.
RAY_SETTINGS: Final = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": _TOKEN,
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ADDRESS": RAY_ADDRESS,
}


def node_address(number: int) -> str:
    """Return the address of a node; the head has number 1."""
    return f"10.17.0.{number}"


def ray_environment() -> dict[str, str]:
    """Return the environment of Ray's processes, and of commands that connect to them."""
    inherited = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": "/root"}
    inherited |= {key: os.environ[key] for key in ("HOME",) if key in os.environ}
    return inherited | {"PYTHONPATH": str(ROOT)} | RAY_SETTINGS


class RayNode:
    """One node. It can be started again after it was killed."""

    def __init__(self, address: str, folder: Path, *options: str, **variables: str) -> None:
        self.address = address
        self.options = options
        self._folder = folder
        self.environment = ray_environment() | variables
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to start it; `wait_until_started` waits for that."""
        self._log = self._folder / f"{self.address}-{monotonic():.0f}.log"
        command = [*_IN_NAMESPACE, "ray", "start", "--block", *self.options]
        command += [f"--node-ip-address={self.address}", "--disable-usage-stats"]
        command += [f"--object-store-memory={_SMALL_OBJECT_STORE}", "--include-log-monitor=false"]
        command += [f"--temp-dir={self._folder / self.address}"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def wait_until_started(self) -> None:
        def has_started() -> bool:
            assert self.is_running, f"{self.address} has ended: {self.log()}"
            return _STARTED in self.log()

        wait_until(has_started, STARTED_WITHIN_S)

    def log(self) -> str:
        """Return what `ray start` wrote."""
        return self._log.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def processes(self) -> list[psutil.Process]:
        """Return its running processes; the first is the root of its namespace."""
        if self._process is None or not self.is_running:
            return []
        return list(psutil.Process(self._process.pid).children(recursive=True))

    def processes_named(self, prefix: str) -> list[psutil.Process]:
        """Return the running processes whose title, which Ray sets, begins with this."""
        found = []
        for each in self.processes():
            with suppress(psutil.NoSuchProcess):  # among them the zombies
                if "".join(each.cmdline()[:1]).startswith(prefix):
                    found.append(each)
        return found

    def kill(self) -> None:
        """Kill all of it at once; return when no process of it is left."""
        if self._process is not None and self.is_running:
            with suppress(IndexError, ProcessLookupError):
                os.kill(self.processes()[0].pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()

    def suspend(self) -> None:
        """Suspend every process of it, also those that are started meanwhile."""
        suspended: set[int] = set()
        while new := [each for each in self.processes() if each.pid not in suspended]:
            for each in new:
                suspended.add(each.pid)
                with suppress(psutil.NoSuchProcess):
                    each.suspend()

    def resume(self) -> None:
        for each in self.processes():
            with suppress(psutil.NoSuchProcess):
                each.resume()

    def memory_mb(self) -> dict[str, float]:
        """Return the resident memory of its processes, in MB, by what they are."""
        found: dict[str, float] = {}
        for each in self.processes():
            with suppress(psutil.NoSuchProcess):
                name = _program(each.cmdline())
                found[name] = found.get(name, 0) + each.memory_info().rss / 1e6
        return found


def _program(command: Sequence[str]) -> str:
    """Return the script, the module or the program of a command."""
    for word in command:
        name = word.rpartition("/")[2]
        if name and not name.startswith(("python", "-")):
            return name.strip()
    return " ".join(command)


def head_node(folder: Path, gcs_storage: str) -> RayNode:
    """Describe a head that runs no host, and whose state outlives it in a Redis (`host:port`)."""
    options = ("--head", f"--port={GCS_PORT}", "--num-cpus=0", "--include-dashboard=false")
    return RayNode(HEAD_ADDRESS, folder, *options, RAY_REDIS_ADDRESS=gcs_storage)


def worker_node(folder: Path, number: int, cpus: int) -> RayNode:
    """Describe a node that runs hosts, also while there is no head."""
    options = f"--address={RAY_ADDRESS}", f"--num-cpus={cpus}"
    patience = {"RAY_gcs_rpc_server_reconnect_timeout_s": "3600"}
    return RayNode(node_address(number), folder, *options, **patience)
