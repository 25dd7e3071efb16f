"""A whole collector on fakes, the entries that it reads, and the rows of their replay."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pykka
from hypothesis import strategies as st

from conductor_actors.actors.title_writer import TitleSinks
from conductor_actors.app.collector import Collector
from conductor_actors.app.collector_ports import Ports
from conductor_actors.domain.checkpoints.encoding import Recovered, recover
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import ReadResult
from conductor_actors.settings import Settings
from conductor_actors.simulate import Simulation
from tests.support.event_samples import CHAT, CLOSED, LIVE, REACTION, SYNC, VOTE
from tests.support.fakes.memory_actions import MemoryActionSender
from tests.support.fakes.memory_catalog import MemoryCatalog
from tests.support.fakes.memory_checkpoints import MemoryCheckpoints
from tests.support.fakes.memory_dead_letters import MemoryDeadLetterQueue
from tests.support.fakes.memory_introspection_channel import MemoryIntrospectionChannel
from tests.support.fakes.memory_lease import MemoryLease
from tests.support.fakes.memory_outbox import MemoryOutbox
from tests.support.fakes.memory_policy import MemoryPolicyStore
from tests.support.fakes.memory_publisher import MemoryUpdatePublisher
from tests.support.fakes.memory_retention import MemoryRetention
from tests.support.fakes.memory_store import MemoryStore
from tests.support.fakes.memory_titles import MemoryTitleOutbox, MemoryTitleTable
from tests.support.fakes.scripted_source import ScriptedSource, Step
from tests.support.score_rows import AT_MS

TICK_MS = 5000

Rows = dict[tuple[str, str, int], bytes]


class CollectorRun:
    """A collector on fakes, from its start to its drain; it continues from a checkpoint, if any."""

    def __init__(
        self,
        script: Sequence[Step] | ScriptedSource,
        store: MemoryStore | None = None,
        checkpoints: MemoryCheckpoints | None = None,
        actions: MemoryActionSender | None = None,
        policies: MemoryPolicyStore | None = None,
        /,
        **variables: float,
    ) -> None:
        self.source = script if isinstance(script, ScriptedSource) else ScriptedSource(script)
        self.publisher = MemoryUpdatePublisher()
        self.dead_letters = MemoryDeadLetterQueue()
        self.store = store or MemoryStore()
        self.checkpoints = checkpoints or MemoryCheckpoints()
        self.actions = actions or MemoryActionSender()
        self.policies = policies or MemoryPolicyStore()
        self.title_table, self.title_outbox = MemoryTitleTable(), MemoryTitleOutbox()
        ports = Ports(
            self.source,
            self.store,
            self.publisher,
            self.dead_letters,
            MemoryRetention(),
            MemoryLease(),
            MemoryOutbox(),
            self.checkpoints,
            MemoryIntrospectionChannel(),
            self.actions,
            self.policies,
            MemoryCatalog(),
            TitleSinks(self.title_table, self.title_outbox),
        )
        settings = make_settings(**variables)
        self.collector = Collector(settings, ports, self._recover(settings))

    def _recover(self, settings: Settings) -> Recovered | None:
        found = self.checkpoints.load()
        if found is None:
            return None
        recovered = recover(found.header, found.sessions, settings.session_rules())
        self.source.resume(recovered.header.position)
        return recovered

    def run_to_end(self) -> Rows:
        """Read the whole script, drain, and return the rows that were stored."""
        self.start()
        self.source.wait_until_routed()
        return self.drain()

    def start(self) -> None:
        self.collector.start()

    def drain(self) -> Rows:
        assert self.collector.drain() == 0
        for ref in pykka.ActorRegistry.get_all():  # a process ends here
            ref.stop(block=False)
            pykka.ActorRegistry.unregister(ref)
        return pack(self.store.rows.values())


def make_settings(**variables: float) -> Settings:
    values: dict[str, Any] = variables
    return Settings(**values)


def pack(rows: Any) -> Rows:
    """Encode rows, so that they can be compared bit for bit."""
    return {(row.tenant_id, row.session_id, row.at_ms): msgspec.msgpack.encode(row) for row in rows}


def replay_rows(entries: Sequence[Entry], **variables: float) -> Rows:
    rules, rows = make_settings(**variables), list[ScoreRow]()
    replay = Replayer(
        Rules(rules.intake_rules(), rules.session_rules(), rules.scoring()), rows.extend
    )
    assert replay.run(entries).failed == 0
    return pack(rows)


def split_into_reads(entries: Sequence[Entry], size: int) -> list[ReadResult]:
    """Return reads of `size` entries, and one up to the first tick after the last entry."""
    last_ms = entries[-1][0]
    end_ms = last_ms - last_ms % TICK_MS + TICK_MS
    cut = [entries[start : start + size] for start in range(0, len(entries), size)]
    return [
        *(ReadResult(part, part[-1][0], part[-1][0]) for part in cut),
        ReadResult((), end_ms, end_ms),
    ]


def simulate_entries(sessions: int = 12, seconds: int = 240, seed: int = 7) -> list[Entry]:
    """Return the entries of simulated sessions of two tenants."""
    simulation = Simulation(sessions=sessions, seed=seed, tenants=("default", "acme"))
    entries: list[Entry] = []
    for step in range(seconds * 4):
        sent = simulation.step(AT_MS / 1000 + step / 4, 0.25)
        entries += [(AT_MS + step * 250, number, *each) for number, each in enumerate(sent)]
    return entries


BODIES: dict[str, Callable[[str, str], str]] = {
    CHAT: lambda s, u: f'{{"sessionId":"{s}","message":{{"id":"m{u}","authorId":"{u}"}}}}',
    VOTE: lambda s, u: f'{{"sessionId":"{s}","pollId":"p{u}","userId":"{u}","eventId":"e"}}',
    CLOSED: lambda s, u: f'{{"sessionId":"{s}","pollId":"p{u}"}}',
    REACTION: lambda s, u: f'{{"sessionId":"{s}","userId":"{u}"}}',
    LIVE: lambda s, u: f'{{"type":"user_join","sessionId":"{s}","userId":"{u}"}}',
    SYNC: lambda s, u: f'{{"type":"user_leave","sessionId":"{s}","userId":"{u}"}}',
    "acme:" + SYNC: lambda s, u: f'{{"type":"reaction","sessionId":"{s}","userId":"{u}"}}',
    "unheard-of": lambda s, u: s + u,
}
GAPS_MS = [0, 1, 700, 4999, 5000, 19_000, 20_000, 61_000]


@st.composite
def histories(draw: st.DrawFn) -> list[Entry]:
    """Entries of few sessions, with pauses after which sessions are over and passivated."""
    at_ms, entries = AT_MS, list[Entry]()
    kind = st.tuples(
        st.sampled_from(GAPS_MS),
        st.sampled_from(list(BODIES)),
        st.sampled_from("stu"),
        st.sampled_from("ab"),
    )
    for sequence, (gap_ms, name, session, user) in enumerate(
        draw(st.lists(kind, min_size=1, max_size=60))
    ):
        at_ms += gap_ms
        entries.append((at_ms, sequence, name, BODIES[name](session, user).encode()))
    return entries
