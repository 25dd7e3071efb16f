"""On what, and with what, it was measured."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psycopg
import redis

from tests.benchmarks.world import World

PACKAGES: Final = ("redis", "hiredis", "msgspec", "pykka", "psycopg")


def describe(world: World) -> dict[str, str]:
    with redis.Redis.from_url(world.redis_url) as client:
        valkey = client.info("server").get("valkey_version", "?")
    with psycopg.connect(world.database_url) as connection:
        postgresql = connection.info.server_version
    return {
        "machine": f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {platform.machine()}",
        "load": ", ".join(f"{load:.2f}" for load in os.getloadavg()),
        "Python": platform.python_version(),
        "Valkey": valkey,
        "PostgreSQL": f"{postgresql // 10000}.{postgresql % 10000}",
        **{name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"
