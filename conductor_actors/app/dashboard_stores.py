"""The databases of the dashboard: one, or those of the partitions' rows."""

from collections.abc import Sequence
from typing import NamedTuple

from conductor_actors.adapters.postgres.anomaly_store import PostgresAnomalyStore
from conductor_actors.adapters.postgres.history.history_ports import make_history_ports
from conductor_actors.adapters.postgres.history_reader import PostgresHistoryReader
from conductor_actors.adapters.postgres.intervention_store import PostgresInterventionStore
from conductor_actors.adapters.several_databases.placed_anomalies import PlacedAnomalyStore
from conductor_actors.adapters.several_databases.placed_histories import placed_history_ports
from conductor_actors.adapters.several_databases.placed_interventions import (
    PlacedInterventionStore,
)
from conductor_actors.adapters.several_databases.placed_scores import PlacedHistoryReader
from conductor_actors.adapters.several_databases.placement import Placed
from conductor_actors.ports.anomaly_port import AnomalyStore
from conductor_actors.ports.conductor_port import InterventionStore
from conductor_actors.ports.history_port import HistoryPorts
from conductor_actors.ports.score_port import HistoryReader
from conductor_actors.settings import Settings


class Stores(NamedTuple):
    """The stores of scores, anomalies and interventions."""

    scores: HistoryReader
    anomalies: AnomalyStore
    interventions: InterventionStore


def open_stores(settings: Settings, database_url: str) -> Stores:
    """Return the stores in the database, or in those of the partitions."""
    urls = _database_urls(settings, database_url)
    if len(urls) == 1:
        return _stores(urls[0])
    scores, anomalies, interventions = zip(*map(_stores, urls), strict=True)
    count = settings.partitions
    return Stores(
        PlacedHistoryReader(Placed(scores, count)),
        PlacedAnomalyStore(Placed(anomalies, count)),
        PlacedInterventionStore(Placed(interventions, count)),
    )


def open_histories(settings: Settings, database_url: str) -> HistoryPorts:
    """Return the ports for what is read afterwards, likewise."""
    rules, most = settings.report_rules(), settings.max_queries_per_tenant
    urls = _database_urls(settings, database_url)
    ports = [make_history_ports(url, rules, most) for url in urls]
    return ports[0] if len(ports) == 1 else placed_history_ports(Placed(ports, settings.partitions))


def _database_urls(settings: Settings, database_url: str) -> Sequence[str]:
    return settings.partition_database_urls or [database_url]


def _stores(url: str) -> Stores:
    return Stores(
        PostgresHistoryReader(url), PostgresAnomalyStore(url), PostgresInterventionStore(url)
    )
