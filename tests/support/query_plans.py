"""How the database runs the queries of histories."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from psycopg import sql

from conductor_actors.adapters.postgres.history.history_queries import HistoryQueries
from conductor_actors.adapters.postgres.query_pool import Query, Records, Values

Plan = Mapping[str, Any]


class ExplainedQueries(HistoryQueries):
    """Has each query explained before it runs; `plans` are those since they were last cleared."""

    def __init__(self, url: str, how: str = "FORMAT JSON") -> None:
        super().__init__(url)
        self._explain = sql.SQL("EXPLAIN ({}) ").format(sql.SQL(how))
        self.plans: list[Any] = []

    async def run(self, tenant: str, query: Query, values: Values = (), **options: Any) -> Records:
        composed = query if isinstance(query, sql.Composed) else sql.Composed([sql.SQL(query)])
        explained = await super().run(tenant, self._explain + composed, values, **options)
        first = explained[0][0]
        is_text = isinstance(first, str)
        self.plans.append("\n".join(each[0] for each in explained) if is_text else first[0])
        return await super().run(tenant, query, values, **options)


_CHUNK: Final = re.compile(r"_hyper_\d+_\d+_chunk")  # of a hypertable
_CHUNK_INDEX: Final = re.compile(r"^(\d+_\d+_|_hyper_\d+_\d+_chunk_)")


def scans(plan: Plan) -> Iterator[tuple[str, str, str | None]]:
    """Return each scan of a table: its kind, the table and the index.

    Rows have the one hypertable, whose chunks and their indexes are named like it.
    """
    node = plan.get("Plan", plan)
    if "Relation Name" in node:
        index = node.get("Index Name") or _bitmap(node)
        table = _CHUNK.sub("engagement_metrics", node["Relation Name"])
        yield node["Node Type"], table, index and _CHUNK_INDEX.sub("", index)
    for each in node.get("Plans", ()):
        yield from scans(each)


def _bitmap(node: Plan) -> str | None:
    """Return the index of a bitmap scan, which is below it."""
    return next(
        (each["Index Name"] for each in node.get("Plans", ()) if "Index Name" in each), None
    )
