"""The ports for what is read afterwards, on the connections that they share."""

from conductor_actors.adapters.postgres.history.event_reader import PostgresEventReader
from conductor_actors.adapters.postgres.history.export_reader import PostgresExportReader
from conductor_actors.adapters.postgres.history.history_queries import HistoryQueries
from conductor_actors.adapters.postgres.history.report_reader import PostgresReportReader
from conductor_actors.adapters.postgres.history.session_reader import PostgresSessionReader
from conductor_actors.adapters.postgres.history.timeline_reader import PostgresTimelineReader
from conductor_actors.adapters.postgres.history.title_store import PostgresTitleStore
from conductor_actors.ports.history_port import HistoryPorts
from conductor_actors.ports.report_port import ReportRules


def make_history_ports(
    url: str, rules: ReportRules, max_queries_per_tenant: int = 4
) -> HistoryPorts:
    """Return the ports, for rows that were scored by these rules."""
    return ports_on(HistoryQueries(url, max_queries_per_tenant), rules)


def ports_on(queries: HistoryQueries, rules: ReportRules) -> HistoryPorts:
    """Return the ports on these connections."""
    return HistoryPorts(
        queries,
        PostgresSessionReader(queries),
        PostgresTitleStore(queries),
        PostgresTimelineReader(queries, rules.scoring, rules.tick_s),
        PostgresEventReader(queries, rules.tick_s),
        PostgresReportReader(queries, rules),
        PostgresExportReader(queries, rules.tick_s),
    )
