"""Write one line where the partitions of a host report the same, instead of a line for each."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, TypeAlias, TypeVar

import msgspec

from conductor_actors import log_events as events
from conductor_actors.log_events import LogEvent, digested_by, of_host, write
from conductor_actors.log_events.merged_reports import merge_events
from conductor_actors.ports import Clock

DIGEST_INTERVAL_S: Final = 5.0

E = TypeVar("E", bound=LogEvent)

_Slot: TypeAlias = tuple[type[LogEvent], str]

# Reports of a state: a partition's last one holds until its next.
_STATE_REPORTS: Final = (
    events.ActorStats,
    events.EventsRouted,
    events.ServiceStats,
    events.SessionStats,
    events.TenantStats,
    events.TickCompleted,
)
# Reports of work since the one before.
_WORK_REPORTS: Final = (
    events.BatchWritten,
    events.CheckpointCommitted,
    events.SessionsSummarised,
    events.TitlesStored,
)
_DIGESTED: Final = frozenset((*_STATE_REPORTS, *_WORK_REPORTS))
_AMOUNTS: Final[Mapping[type[LogEvent], Sequence[str]]] = {  # of work, in reports of a state
    events.EventsRouted: ("events", "skipped")
}


@contextmanager
def digest_partitions(host: str) -> Iterator[None]:
    """Name the host in every line, and digest the reports of its partitions, in the block."""
    digest = PartitionDigest()
    with of_host(host), digested_by(digest.take):
        try:
            yield
        finally:
            digest.write()


class PartitionDigest:
    """The regular reports of partitions, of which it writes one line of each kind every 5 s.

    Subscribers get every event; only lines are left out. Each call may come from any thread.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._reports: dict[_Slot, dict[str, LogEvent]] = {}  # of each partition
        self._changed: set[_Slot] = set()  # since the last lines
        self._began_s = self._written_s = clock()

    def take(self, event: LogEvent) -> bool:
        """Return whether a partition's event needs no line of its own."""
        if type(event) not in _DIGESTED:
            self._drop_outdated(event)
            return False
        with self._lock:
            self._add(event)
            is_due = self._clock() - self._written_s >= DIGEST_INTERVAL_S
        if is_due:
            self.write()
        return True

    def write(self) -> None:
        """Write the lines of what was reported since the last ones."""
        with self._lock:
            self._written_s = self._clock()
            lines = [self._line(slot) for slot in self._reports if slot in self._changed]
            self._changed.clear()
        for line in lines:
            write(line)

    def _add(self, event: LogEvent) -> None:
        kind = type(event)
        slot = kind, event.kind if isinstance(event, events.ActorStats) else ""
        reports = self._reports.setdefault(slot, {})
        before = reports.get(event.partition)
        if before is not None:
            event = (
                _add_work(before, event)
                if kind in _STATE_REPORTS
                else merge_events([before, event])
            )
        reports[event.partition] = event
        self._changed.add(slot)

    def _line(self, slot: _Slot) -> LogEvent:
        reports = self._reports[slot]
        merged = msgspec.structs.replace(merge_events([*reports.values()]), partition="")
        if isinstance(merged, events.ServiceStats):  # of the process, not of its oldest partition
            merged.uptime_s = round(self._clock() - self._began_s)
        if slot[0] in _WORK_REPORTS:
            reports.clear()
        elif slot[0] in _AMOUNTS:
            for partition, report in reports.items():
                reports[partition] = _without_work(report)
        return merged

    def _drop_outdated(self, event: LogEvent) -> None:
        """Drop what a partition has reported and is no longer so."""
        match event:
            case events.PartitionEnded():
                with self._lock:
                    for slot, reports in self._reports.items():
                        if slot[0] not in _WORK_REPORTS:
                            reports.pop(event.partition, None)
            case events.TickBroadcast(sessions=0):
                with self._lock:
                    self._reports.get((events.TickCompleted, ""), {}).pop(event.partition, None)


def _add_work(before: LogEvent, event: E) -> E:
    names = _AMOUNTS.get(type(event), ())
    return msgspec.structs.replace(
        event, **{name: getattr(before, name) + getattr(event, name) for name in names}
    )


def _without_work(event: E) -> E:
    return msgspec.structs.replace(event, **dict.fromkeys(_AMOUNTS[type(event)], 0))
