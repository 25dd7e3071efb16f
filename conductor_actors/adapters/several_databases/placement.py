"""Which database has a session."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.partitions.partition import partition_of

P = TypeVar("P")
T = TypeVar("T")


class Placed(Generic[P]):
    """The same port to each database: of n, partition p is in number p modulo n."""

    def __init__(self, ports: Sequence[P], partitions: int) -> None:
        self.ports = ports
        self._partitions = partitions

    def number_of(self, key: SessionKey) -> int:
        """Return the number of the database that has a session."""
        return partition_of(*key, self._partitions) % len(self.ports)

    def of(self, key: SessionKey) -> P:
        """Return the port to the database that has a session."""
        return self.ports[self.number_of(key)]

    def by_port(self, tenant: str, session_ids: Iterable[str]) -> list[tuple[P, list[str]]]:
        """Return each port that has some of these sessions of a tenant, with these."""
        found: defaultdict[int, list[str]] = defaultdict(list)
        for session_id in session_ids:
            found[self.number_of(SessionKey(tenant, session_id))].append(session_id)
        return [(self.ports[number], ids) for number, ids in found.items()]

    async def ask_all(self, ask: Callable[[P], Awaitable[T]]) -> list[T]:
        """Return the answer of each database; raise the error of one that has none."""
        return await asyncio.gather(*map(ask, self.ports))
