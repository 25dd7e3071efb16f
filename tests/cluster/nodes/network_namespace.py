"""A network of a test's own: what runs in it reaches nothing else, and takes no port of others."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

_NEW_NETWORK: Final = 0x40000000  # CLONE_NEWNET
_NETWORK_OF_THREAD: Final = Path("/proc/thread-self/ns/net")


@cache
def missing_for_namespaces() -> str | None:
    """Return what keeps this process from having namespaces; None if nothing does."""
    for program in ("ip", "unshare"):
        if shutil.which(program) is None:
            return f"the program {program}"
    isolated = ("unshare", "--net", "--pid", "--fork", "--mount-proc", "ip", "link", "show", "lo")
    if subprocess.run(isolated, capture_output=True, check=False).returncode:
        return "the right to make network and PID namespaces (root has it)"
    return None


@contextmanager
def network_namespace(addresses: Sequence[str]) -> Iterator[None]:
    """Move this thread, and all that it starts until the block ends, into a network of its own.

    It has the loopback addresses, and these; a default route lets programs find their own address.
    """
    before = os.open(_NETWORK_OF_THREAD, os.O_RDONLY)
    try:
        _call("unshare", _NEW_NETWORK)
        try:
            _ip("link", "set", "lo", "up")
            for address in addresses:
                _ip("address", "add", f"{address}/24", "dev", "lo")
            _ip("route", "add", "default", "dev", "lo")
            yield
        finally:
            _call("setns", before, _NEW_NETWORK)
    finally:
        os.close(before)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _call(name: str, *arguments: int) -> None:
    """Call the C library: Python has these functions from 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
