"""A PgBouncer in transaction mode, in front of a database."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conductor_actors.adapters.embedded.server_process import free_port
from tests.support.waiting import becomes_true

_PROGRAM: Final = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def pgbouncer(url: str) -> Iterator[str]:
    """Start a PgBouncer that shares one session of the server among its clients; return its URL."""
    given = conninfo_to_dict(url)
    port = free_port()
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        config = Path(folder) / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host={given['host']} port={given['port']} user={given['user']}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            "auth_type = any\npool_mode = transaction\ndefault_pool_size = 1\n"
        )
        process = subprocess.Popen([_program(), *_as_nobody(), config], stderr=subprocess.DEVNULL)
        try:
            becomes_true(lambda: _accepts(port), 10)
            yield make_conninfo(url, port=str(port))
        finally:
            process.kill()
            process.wait()


def _program() -> str:
    if _PROGRAM is not None:
        return _PROGRAM
    if "CONDUCTOR_TEST_REQUIRE_ALL" in os.environ:
        pytest.fail("pgbouncer is not installed")
    pytest.skip("pgbouncer is not installed")


def _as_nobody() -> list[str]:
    """Return the option by which PgBouncer runs if we are root, as whom it does not run."""
    return ["-u", "nobody"] if os.geteuid() == 0 else []


def _accepts(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    return False
