"""The ports for what is read afterwards, on the connections that they share."""

from conductor_actors.adapters.postgres.event_reader import PostgresEventReader
from conductor_actors.adapters.postgres.history_queries import HistoryQueries
from conductor_actors.adapters.postgres.session_reader import PostgresSessionReader
from conductor_actors.adapters.postgres.timeline_reader import PostgresTimelineReader
from conductor_actors.adapters.postgres.title_store import PostgresTitleStore
from conductor_actors.domain.scoring import Scoring
from conductor_actors.history_port import HistoryPorts


def make_history_ports(
    url: str, scoring: Scoring, tick_s: int = 5, max_queries_per_tenant: int = 4
) -> HistoryPorts:
    """Return the ports, for rows that were scored like this at this interval."""
    queries = HistoryQueries(url, max_queries_per_tenant)
    return HistoryPorts(
        queries,
        PostgresSessionReader(queries),
        PostgresTitleStore(queries),
        PostgresTimelineReader(queries, scoring, tick_s),
        PostgresEventReader(queries, tick_s),
    )
