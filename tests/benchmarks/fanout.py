"""Measure the real-time service: `python -m tests.benchmarks.fanout`.

1,000 Socket.IO clients over 100 sessions, once all reading and once with 50 that do not, on a
dashboard of its own and a real Valkey. Every tick publishes one update per session at once.
CPU time and memory are the dashboard's; a delay is from PUBLISH to the client's socket.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import httpx
from prometheus_client.parser import text_string_to_metric_families

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.adapters.postgres import migrations
from conductor_actors.adapters.redis.updates.update_publisher import RedisUpdatePublisher
from conductor_actors.observability import logs
from tests.benchmarks.figures import Figure, table
from tests.support.fences import take_ownership
from tests.support.score_rows import row

TICK_S: Final = 2.0
CLOCK_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class Service(NamedTuple):
    """A dashboard that runs."""

    pid: int
    port: int
    metrics_port: int


class Case(NamedTuple):
    clients: int
    sessions: int
    deaf: int
    ticks: int


def main() -> None:
    arguments = _arguments()
    logs.configure("error", "text")
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, EmbeddedServers(Path(folder)) as servers:
        redis_url, database_url = servers.start_valkey(), servers.start_postgres()
        migrations.migrate(database_url)
        for deaf in (0, arguments.deaf):
            figures += measure(redis_url, database_url, Case(1000, 100, deaf, arguments.ticks))
    print(table(figures))


def measure(redis_url: str, database_url: str, case: Case) -> list[Figure]:
    """Let a crowd listen, publish ticks, and tell what it took and how long."""
    with ExitStack() as stack:
        dashboard = stack.enter_context(run_dashboard(redis_url, database_url))
        empty_kb = _memory_kb(dashboard.pid)
        crowd = stack.enter_context(run_crowd(dashboard.port, case))
        full_kb, began_cpu_s = _memory_kb(dashboard.pid), process_cpu_s(dashboard.pid)
        _publish(redis_url, case)
        got = json.loads(_line(crowd))
        cpu_s = process_cpu_s(dashboard.pid) - began_cpu_s
        closed = _closed(dashboard.metrics_port)
    who = f"{case.clients:,} clients" + (f", {case.deaf} not reading" if case.deaf else "")
    delays = f"p50 {got['p50_ms']:.0f} ms, most {got['most_ms']:.0f} ms"
    cpu_us, each_kb = cpu_s / got["messages"] * 1e6, (full_kb - empty_kb) / case.clients
    return [
        Figure(f"CPU of a message, {who}", "µs", (cpu_us,), note=f"{got['messages']:,} messages"),
        Figure(f"memory of a client, {who}", "KB", (each_kb,), note=f"{closed:.0f} closed"),
        Figure(f"PUBLISH until the socket, p99, {who}", "ms", (got["p99_ms"],), note=delays),
    ]


def _publish(redis_url: str, case: Case) -> None:
    feed = RedisUpdatePublisher(redis_url, take_ownership(redis_url))
    first_ms = int(time.time() // 5 * 5000)
    for tick in range(case.ticks):
        began_s = time.monotonic()
        at_ms = first_ms + 5000 * tick
        feed.publish(
            [row(f"s{each}", at_ms, event_id=f"{time.time():.6f}") for each in range(case.sessions)]
        )
        time.sleep(max(0.0, TICK_S - (time.monotonic() - began_s)))
    feed.close()


@contextmanager
def run_dashboard(redis_url: str, database_url: str) -> Iterator[Service]:
    """Run a dashboard until the block ends."""
    port, metrics_port = free_port(), free_port()
    variables = {
        "REDIS_URL": redis_url,
        "DATABASE_URL": database_url,
        "CONDUCTOR_HTTP_PORT": str(port),
        "CONDUCTOR_METRICS_PORT": str(metrics_port),
        "CONDUCTOR_MAX_CLIENTS_PER_ADDRESS": "100000",
        "CONDUCTOR_LOG_LEVEL": "error",
    }
    command = [sys.executable, "-m", "conductor_actors", "dashboard"]
    with _process(command, os.environ | variables) as process:
        while not _is_ready(port):
            time.sleep(0.1)
        yield Service(process.pid, port, metrics_port)


@contextmanager
def run_crowd(port: int, case: Case) -> Iterator[subprocess.Popen[bytes]]:
    """Run clients in a process, which prints `ready` and what they received."""
    given = {"port": port, "clients": case.clients, "sessions": case.sessions, "deaf": case.deaf}
    command = [sys.executable, "-m", "tests.benchmarks.crowd"]
    command += [f"--{name}={value}" for name, value in given.items()]
    command.append(f"--seconds={case.ticks * TICK_S + 2}")
    with _process(command, os.environ) as process:
        assert _line(process) == b"ready\n"
        yield process


@contextmanager
def _process(
    command: list[str], variables: "os._Environ[str] | dict[str, str]"
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=dict(variables), stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def _line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/ready").is_success
    except httpx.ConnectError:
        return False


def _closed(metrics_port: int) -> float:
    """Count the clients that the service has cut off."""
    text = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "conductor_dashboard_clients_closed_total"
    )


def process_cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS_PER_S


def _memory_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.fanout", description=__doc__)
    parser.add_argument("--deaf", type=int, default=50, help="how many never read, the second time")
    parser.add_argument("--ticks", type=int, default=20)
    return parser.parse_args()


if __name__ == "__main__":
    main()
