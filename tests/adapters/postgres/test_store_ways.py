"""New rows are stored the short way, by COPY alone; known ones are met the long way."""

import re
from contextlib import closing

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from tests.faults.proxy import Direction, Proxy
from tests.support.score_rows import row

SHORT, LONG = "engagement_metrics", "staging"


def test_the_short_way_is_taken_until_rows_are_known_and_again_when_none_are(
    plain_database: str,
) -> None:
    migrate(plain_database)
    ways: list[str] = []

    def note(way: Direction, piece: bytes) -> bytes:
        if way is Direction.REQUEST:
            ways.extend(name.decode() for name in re.findall(rb"COPY (\w+)", piece))
        return piece

    port = int(conninfo_to_dict(plain_database)["port"] or 0)
    with Proxy(port) as proxy:
        proxy.filter = note
        with closing(PostgresRowStore(make_conninfo(plain_database, port=proxy.port))) as store:
            for name, stored in (("a", 1), ("a", 0), ("a", 0), ("b", 1), ("c", 1)):
                assert store.write([row(name)]).stored == stored
    assert ways == [SHORT, SHORT, LONG, LONG, LONG, SHORT]
