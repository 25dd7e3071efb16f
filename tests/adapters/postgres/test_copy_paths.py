"""New rows are stored by one COPY; after a known row, through a staging table."""

import re
from contextlib import closing

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from tests.faults.proxy import Direction, Proxy
from tests.support.score_rows import row

DIRECT, STAGED = "engagement_metrics", "conductor_staging"


def test_rows_are_copied_directly_until_one_is_stored_already_and_again_when_none_is(
    plain_database: str,
) -> None:
    migrate(plain_database)
    tables: list[str] = []

    def record_table(way: Direction, piece: bytes) -> bytes:
        if way is Direction.REQUEST:
            tables.extend(name.decode() for name in re.findall(rb"COPY (?:pg_temp\.)?(\w+)", piece))
        return piece

    port = int(conninfo_to_dict(plain_database)["port"] or 0)
    with Proxy(port) as proxy:
        proxy.filter = record_table
        with closing(PostgresRowStore(make_conninfo(plain_database, port=proxy.port))) as store:
            for name, stored in (("a", 1), ("a", 0), ("a", 0), ("b", 1), ("c", 1)):
                assert store.write([row(name)]).stored == stored
    assert tables == [DIRECT, DIRECT, STAGED, STAGED, STAGED, DIRECT]


def test_the_staging_table_is_gone_after_a_write(shared_plain_database: str) -> None:
    with closing(PostgresRowStore(shared_plain_database)) as store:
        for _ in range(2):
            store.write([row()])
        assert store._connection is not None
        found = store._connection.execute("SELECT FROM pg_class WHERE relname ~ 'staging'")
        assert found.rowcount == 0
