"""Readers of all partitions, and the rows of what they read beside those of a replay."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from threading import Event, Thread
from typing import Final, NamedTuple

import msgspec

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.events.raw_entries import entries_of
from conductor_actors.adapters.redis.partitions.partition_source import PartitionSource
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.partitions.partition import all_partitions
from conductor_actors.domain.quotas import NO_LIMITS, Limits
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from tests.support.event_samples import STREAM_NAMES
from tests.support.waiting import wait_until

QUICK_RULES: Final = IntakeRules(tick_s=1, timeout_s=60, window_s=10)  # as `QUICK` sets them


def rules(limits: Limits = NO_LIMITS) -> Rules:
    intake = QUICK_RULES
    session = SessionRules(intake.window_s, intake.timeout_s, intake.timeout_s, tick_s=1)
    return Rules(msgspec.structs.replace(intake, limits=limits), session, Scoring())


class Replayed(NamedTuple):
    """The rows of a replay, in order, and how many events it refused, by tenant and limit."""

    rows: list[ScoreRow]
    refused: dict[tuple[str, str], int]


def replay(entries: Sequence[Entry], until_ms: int, limits: Limits = NO_LIMITS) -> Replayed:
    """Score entries up to a time."""
    rows: list[ScoreRow] = []
    replayer = Replayer(rules(limits), rows.extend)
    replayer._process([entry for entry in entries if entry[0] < until_ms], until_ms)
    rows.sort(key=lambda row: (row.at_ms, row.tenant_id, row.session_id))
    return Replayed(rows, dict(replayer._intake.quotas.pop_refused()))


class PartitionReaders:
    """A reader of each partition, on a thread of its own."""

    def __init__(self, url: str, partitions: int) -> None:
        self.entries: list[list[Entry]] = [[] for _ in range(partitions)]
        self.watermarks_ms = [0] * partitions
        self.gaps: list[Gap] = []
        self.first_ticks_ms: list[int | None] = [None] * partitions
        self._stop = Event()
        self._threads = [
            Thread(target=self._read, args=(each.number, PartitionSource(url, each)))
            for each in all_partitions(partitions)
        ]

    @contextmanager
    def reading(self) -> Iterator[None]:
        with ExitStack() as stack:
            for thread in self._threads:
                thread.start()
                stack.callback(thread.join)
            stack.callback(self._stop.set)
            yield

    def only(self, number: int) -> None:
        """Read one partition alone."""
        self._threads = [self._threads[number]]

    def wait_until(self, ms: int, timeout_s: float = 30.0, *numbers: int) -> None:
        """Wait until everything before a time was read, of these partitions or of all."""
        wanted = numbers or range(len(self.entries))
        wait_until(lambda: min(self.watermarks_ms[each] for each in wanted) >= ms, timeout_s)

    def rows(self, until_ms: int) -> list[ScoreRow]:
        """Return the rows of what the readers have read."""
        rows = [row for entries in self.entries for row in replay(entries, until_ms).rows]
        return sorted(rows, key=lambda row: (row.at_ms, row.tenant_id, row.session_id))

    def _read(self, number: int, source: PartitionSource) -> None:
        with closing(source):
            while not self._stop.is_set():
                read = source.read()
                self.entries[number] += read.entries
                self.gaps += read.gaps
                if read.first_tick_ms is not None:
                    self.first_ticks_ms[number] = read.first_tick_ms
                self.watermarks_ms[number] = read.watermark_ms


def entries_in(url: str) -> list[Entry]:
    """Return the entries of all streams, in order."""
    names = [prefix + name for name in STREAM_NAMES for prefix in ("", "acme:")]
    with closing(open_client(url)) as client:
        streams = pipeline(client, [("XRANGE", name, "-", "+") for name in names])
    found = zip(names, streams, strict=True)
    return sorted(entry for name, raw in found for entry in entries_of(name, raw))
