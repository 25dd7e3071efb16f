"""Which series there are, and which ones an expression of PromQL asks for."""

from collections.abc import Iterator
from typing import Any

import promql_parser
from prometheus_client import REGISTRY, CollectorRegistry
from promql_parser import VectorSelector

from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.observability.metrics import CollectorMetrics

FOREIGN = {"up", "node_filesystem_avail_bytes", "node_filesystem_size_bytes"}
_SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
    "info": ("_info",),
}


def series() -> set[str]:
    """Name every series of a collector, of a dashboard and of any process, and the foreign ones."""
    collector = CollectorRegistry()
    CollectorMetrics(collector)
    return FOREIGN | {
        family.name + suffix
        for registry in (collector, DashboardMetrics().registry, REGISTRY)
        for family in registry.collect()
        for suffix in _SUFFIXES[family.type]
    }


def selectors(expression: str) -> list[VectorSelector]:
    """List what an expression asks for; raise `ValueError` for what is no PromQL."""
    # Grafana puts a duration in its place.
    parsed = promql_parser.parse(expression.replace("$__rate_interval", "1m"))
    return [each for each in _nodes(parsed) if isinstance(each, VectorSelector)]


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for name in ("lhs", "rhs", "expr", "vector_selector", "args"):
        below = getattr(node, name, None)
        for each in below if isinstance(below, list) else [below]:
            if isinstance(each, promql_parser.Expr):
                yield from _nodes(each)
