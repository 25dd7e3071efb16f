"""Which host runs which partitions: as equal as possible, with as few moves as possible.

A move is a drain and then a start: a partition that was drained is an orphan, and starts on the
host with the fewest.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

MAX_CONCURRENT_MOVES: Final = 2

_NONE: Final[Mapping[int, str]] = {}


class HostLoad(NamedTuple):
    """The partitions that a host runs or starts, and those that it drains.

    A host that is leaving is emptied, and starts none.
    """

    runs: Collection[int]
    drains: Collection[int] = ()
    is_leaving: bool = False


class Assignment(NamedTuple):
    """A partition, and the host that starts or drains it."""

    partition: int
    host: str


class Plan(NamedTuple):
    """What to start and to drain now."""

    starts: Sequence[Assignment]
    drains: Sequence[Assignment]


def plan_moves(
    count: int,
    hosts: Mapping[str, HostLoad],
    *,
    moves: int = 0,
    paused: Collection[int] = (),
    avoided: Mapping[int, str] = _NONE,
) -> Plan:
    """Return what brings the partitions 0 to `count` closer to an equal share for each host.

    Orphans start at once. `moves` are under way that `drains` of the hosts do not show. A `paused`
    partition does not start yet; an `avoided` host starts its partition only if it is the last.
    If all hosts are leaving, they drain at once, for there is no other to wait for.
    """
    active = {name: set(load.runs) for name, load in hosts.items() if not load.is_leaving}
    if not active:
        return Plan([], list(_leaving(hosts)))
    starts = list(_starts(_orphans(count, hosts, paused), active, avoided))
    under_way = moves + sum(len(load.drains) for load in hosts.values())
    free = max(0, MAX_CONCURRENT_MOVES - under_way)
    drains = [*_leaving(hosts), *_surplus(count, hosts, active, starts)]
    return Plan(starts, drains[:free])


def _orphans(count: int, hosts: Mapping[str, HostLoad], paused: Collection[int]) -> list[int]:
    """Return the partitions that no host runs, starts or drains."""
    held = {number for load in hosts.values() for number in (*load.runs, *load.drains)}
    return [number for number in range(count) if number not in held and number not in paused]


def _starts(
    orphans: Sequence[int], active: Mapping[str, set[int]], avoided: Mapping[int, str]
) -> Iterator[Assignment]:
    """Start each orphan on the host with the fewest partitions, which it is added to."""
    for number in orphans:
        avoid = avoided.get(number)
        name = min(active, key=lambda name: (name == avoid, len(active[name]), name))
        active[name].add(number)
        yield Assignment(number, name)


def _leaving(hosts: Mapping[str, HostLoad]) -> Iterator[Assignment]:
    for name in sorted(hosts):
        if hosts[name].is_leaving:
            yield from (Assignment(number, name) for number in sorted(hosts[name].runs))


def _surplus(
    count: int,
    hosts: Mapping[str, HostLoad],
    active: Mapping[str, set[int]],
    starts: Sequence[Assignment],
) -> Iterator[Assignment]:
    """Drain what a host has beyond its share, from the fullest host first.

    The hosts with the most have the larger shares, which are one more. What starts now stays.
    """
    share, larger = divmod(count, len(active))
    started = {start.partition for start in starts}
    by_size = sorted(active, key=lambda name: (-len(active[name]), name))
    surplus = []
    for rank, name in enumerate(by_size):
        excess = len(active[name]) - share - (rank < larger)
        movable = sorted(set(hosts[name].runs) - started, reverse=True)
        surplus += [
            (len(active[name]) - index, Assignment(number, name))
            for index, number in enumerate(movable[: max(0, excess)])
        ]
    return (each for _, each in sorted(surplus, key=lambda pair: -pair[0]))
