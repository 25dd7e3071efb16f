"""Partitions of the sessions: the unit in which several collectors share them.

A session is always in the same partition, in every process and version: CRC-32 of its key, modulo
the number of partitions, which is fixed at the first start.
"""

from typing import Final, NamedTuple
from zlib import crc32

MAX_PARTITIONS: Final = 4096
NO_SESSION: Final = 0  # the partition of what names no session, or can't be read


class Partition(NamedTuple):
    """One of `of` partitions, numbered from 0. Its text form is `number/of`."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def tag(self) -> str:
        """The hash tag of its keys: a cluster of servers stores them all on one node."""
        return f"{{{self.number}}}"


def all_partitions(count: int) -> list[Partition]:
    """Return the partitions that together have all sessions."""
    return [Partition(number, count) for number in range(count)]


def partition_of(tenant: str, session_id: str, count: int) -> int:
    """Return the number of the partition that a session is in."""
    return crc32(f"{tenant}/{session_id}".encode("utf-8", "surrogatepass")) % count
