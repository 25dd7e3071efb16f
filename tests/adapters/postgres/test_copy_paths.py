"""Many new rows are stored by one COPY, whatever their metadata, others by one INSERT."""

import re
from contextlib import closing

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conductor_actors.adapters.postgres.metrics_table import MIN_COPIED_ROWS
from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.domain.gaps import GapMark
from conductor_actors.domain.scoring import ScoreRow
from tests.faults.proxy import Direction, Proxy
from tests.support.score_rows import row

INSERT, COPY = "INSERT INTO", "COPY"


def rows_of(prefix: str, count: int = MIN_COPIED_ROWS) -> list[ScoreRow]:
    return [row(f"{prefix}-{number}") for number in range(count)]


def test_many_rows_are_copied_until_one_is_stored_already_and_again_when_none_is(
    plain_database: str,
) -> None:
    migrate(plain_database)
    statements: list[str] = []

    def record_statement(way: Direction, piece: bytes) -> bytes:
        if way is Direction.REQUEST:
            found = re.findall(rb"(INSERT INTO|COPY) engagement_metrics", piece)
            statements.extend(name.decode() for name in found)
        return piece

    many = MIN_COPIED_ROWS
    port = int(conninfo_to_dict(plain_database)["port"] or 0)
    with Proxy(port) as proxy:
        proxy.filter = record_statement
        with closing(PostgresRowStore(make_conninfo(plain_database, port=proxy.port))) as store:
            for name, stored in (("a", many), ("a", 0), ("a", 0), ("b", many), ("c", many)):
                assert store.write(rows_of(name)).stored == stored
            assert store.write(rows_of("d", many - 1)).stored == many - 1
            marked = [row("gap", gap=GapMark("trimmed", 7)), row("guests", is_audience_known=False)]
            assert store.write([*rows_of("e"), *marked]).stored == many + 2
    assert statements == [COPY, COPY, INSERT, INSERT, INSERT, COPY, INSERT, COPY]
