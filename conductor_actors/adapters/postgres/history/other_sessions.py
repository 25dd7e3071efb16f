"""What signals added to the scores of an event's other sessions, for comparison.

Those of a session that has ended do not change, and each session of an event is compared with all
others: so they are computed once.
"""

from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from psycopg import sql

from conductor_actors.adapters.postgres.history.contribution_columns import (
    MEAN_CONTRIBUTIONS,
    contribution_values,
)
from conductor_actors.adapters.postgres.history.report_query import (
    MAX_ROWS_PER_SLICE,
)
from conductor_actors.adapters.postgres.query_pool import Records
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Contributions
from conductor_actors.instants import to_datetime, to_ms
from conductor_actors.ports.history_port import StoredSession
from conductor_actors.ports.report_port import ReportRules

MAX_KNOWN_CONTRIBUTIONS: Final = 20_000

_SELECT_OTHERS: Final = sql.SQL("""
    SELECT session_id, started_at, ended_at FROM sessions
    WHERE tenant_id = %(tenant_id)s AND event_id = %(event_id)s
      AND session_id <> %(session_id)s AND ended_at IS NOT NULL
      AND (%(visible)s::text[] IS NULL OR session_id = ANY(%(visible)s))
""").format()
_SELECT_CONTRIBUTIONS: Final = sql.SQL("""
    SELECT session_id, added.*
    FROM unnest(%(session_ids)s::text[], %(firsts)s::timestamptz[], %(lasts)s::timestamptz[])
        AS other (session_id, first, last)
    CROSS JOIN LATERAL (
        SELECT {means} FROM engagement_metrics AS metrics
        WHERE metrics.tenant_id = %(tenant_id)s AND metrics.session_id = other.session_id
          AND metrics.time >= other.first AND metrics.time <= other.last
          AND metrics.time >= %(first)s AND metrics.time <= %(last)s
        HAVING count(*) > 0
    ) AS added
""").format(means=MEAN_CONTRIBUTIONS)


class EndedSession(NamedTuple):
    """A session that has ended; after it went on, it is another one."""

    key: SessionKey
    first_ms: int
    last_ms: int


class KnownContributions:
    """The contributions to sessions that were read before; None for a session without rows."""

    def __init__(self) -> None:
        self._known: OrderedDict[EndedSession, Contributions | None] = OrderedDict()

    def __contains__(self, session: EndedSession) -> bool:
        return session in self._known

    def __getitem__(self, session: EndedSession) -> Contributions | None:
        self._known.move_to_end(session)
        return self._known[session]

    def __setitem__(self, session: EndedSession, added: Contributions | None) -> None:
        self._known[session] = added
        if len(self._known) > MAX_KNOWN_CONTRIBUTIONS:
            self._known.popitem(last=False)


def read_contributions(
    session: StoredSession,
    visible: Sequence[str] | None,
    rules: ReportRules,
    known: KnownContributions,
) -> Generator[tuple[sql.Composed, Mapping[str, object]], Records, list[Contributions]]:
    """Return those to each other session of the event that has ended and is `visible`."""
    tenant_id, session_id = session.key
    records = yield (
        _SELECT_OTHERS,
        {
            "tenant_id": tenant_id,
            "event_id": session.event_id,
            "session_id": session_id,
            "visible": None if visible is None else list(visible),
        },
    )
    others = [_ended_session(tenant_id, *record) for record in records]
    found = {each: known[each] for each in others if each in known}
    for batch in _batches([each for each in others if each not in found], rules.tick_s):
        read = yield _SELECT_CONTRIBUTIONS, _values(batch) | contribution_values(rules.scoring)
        added = {id_: Contributions(*means) for id_, *means in read}
        for each in batch:
            known[each] = found[each] = added.get(each.key.session_id)
    return [each for each in found.values() if each is not None]


def _ended_session(
    tenant_id: str, session_id: str, started_at: datetime, ended_at: datetime
) -> EndedSession:
    return EndedSession(SessionKey(tenant_id, session_id), to_ms(started_at), to_ms(ended_at))


def _batches(sessions: Sequence[EndedSession], tick_s: int) -> Iterator[list[EndedSession]]:
    """Return the sessions in batches, of which each query reads few enough rows."""
    batch: list[EndedSession] = []
    rows = 0
    for each in sessions:
        ticks = (each.last_ms - each.first_ms) // (tick_s * 1000) + 1
        if batch and rows + ticks > MAX_ROWS_PER_SLICE:
            yield batch
            batch, rows = [], 0
        batch.append(each)
        rows += ticks
    if batch:
        yield batch


def _values(batch: Sequence[EndedSession]) -> dict[str, object]:
    firsts = [to_datetime(each.first_ms) for each in batch]
    lasts = [to_datetime(each.last_ms) for each in batch]
    return {
        "tenant_id": batch[0].key.tenant_id,
        "session_ids": [each.key.session_id for each in batch],
        "firsts": firsts,
        "lasts": lasts,
        "first": min(firsts),
        "last": max(lasts),
    }
