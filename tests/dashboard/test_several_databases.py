"""A dashboard over the databases of partitions answers as over one, or says that it can't."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest

from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.redis.command_writer import RedisCommandWriter
from conductor_actors.adapters.redis.updates.update_subscriber import RedisUpdateSubscriber
from conductor_actors.app.dashboard_stores import open_histories, open_stores
from conductor_actors.dashboard.options import Options
from conductor_actors.dashboard.scores.upstreams import Upstreams
from conductor_actors.dashboard.server import Dashboard
from conductor_actors.domain.partitions.partition import partition_of
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.settings import Settings
from tests.dashboard.clients import SECRET, token
from tests.dashboard.http.conftest import iso
from tests.support.databases import migrated_database
from tests.support.score_rows import AT_MS, began, row

PARTITIONS = 16
SESSIONS = [f"room-{number}" for number in range(12)]
ROWS = 30
RANGE = f"from={iso(AT_MS)}&to={iso(AT_MS + ROWS * 5000)}"


@contextmanager
def opened(redis_url: str, *database_urls: str) -> Iterator[Dashboard]:
    settings = Settings(partition_database_urls=database_urls, partitions=PARTITIONS)
    upstreams = Upstreams(
        RedisUpdateSubscriber(redis_url),
        *open_stores(settings, database_urls[0]),
        RedisCommandWriter(redis_url),
        open_histories(settings, database_urls[0]),
    )
    dashboard = Dashboard(Options(port=0, jwt_secret=SECRET), upstreams)
    dashboard.start()
    try:
        yield dashboard
    finally:
        dashboard.stop()


def rows_of(tenant: str) -> list[ScoreRow]:
    """Return the rows of the sessions of an event; every third has an anomaly."""
    rows = []
    for number, session_id in enumerate(SESSIONS):
        for tick in range(ROWS):
            at_ms = AT_MS + (tick + number % 3) * 5000
            score = (number * 7 + tick * tick % 11) % 17 / 20
            anomalies = (began(str(uuid4())),) if tick == number + 1 and number % 3 == 0 else ()
            rows.append(
                row(
                    *(session_id, at_ms),
                    tenant_id=tenant,
                    score=score,
                    anomalies=anomalies,
                    is_last=tick == ROWS - 1,
                )
            )
    return rows


Get = Callable[[str], httpx.Response]


@pytest.fixture
def both(
    valkey_url: str, postgres_url: str, shared_database: str, second_database: str
) -> Iterator[tuple[Get, Get]]:
    """Give how to get from a dashboard over one database, and over two, with the same rows."""
    rows = rows_of(tenant := f"tenant-{uuid4().hex}")
    places = {each: partition_of(tenant, each, PARTITIONS) % 2 for each in SESSIONS}
    assert len(set(places.values())) == 2
    with ExitStack() as stack:
        third = stack.enter_context(migrated_database(postgres_url))
        for url, number in ((shared_database, None), (second_database, 0), (third, 1)):
            with closing(PostgresRowStore(url)) as store:
                store.write([one for one in rows if number in (None, places[one.session_id])])
        headers = {"Authorization": f"Bearer {token(tenant, claims={'admin': True})}"}
        clients = []
        for urls in ([shared_database], [second_database, third]):
            dashboard = stack.enter_context(opened(valkey_url, *urls))
            client = httpx.Client(base_url=dashboard.address, headers=headers, timeout=20)
            clients.append(stack.enter_context(client))
        yield clients[0].get, clients[1].get


def listed(get: Get, path: str, name: str) -> list[Any]:
    """Return what all pages of a list have together."""
    found: list[Any] = []
    cursor = ""
    while True:
        body = get(f"/api/v1/{path}{cursor}").json()
        found += body[name]
        if body["next"] is None:
            return found
        cursor = f"&cursor={body['next']}"


def test_what_is_of_one_session_comes_from_its_database(both: tuple[Get, Get]) -> None:
    for session_id in SESSIONS:
        for path in ("history?" + RANGE, "history?step=1m&" + RANGE, "explanation", "about"):
            one, two = (get(f"/api/v1/sessions/{session_id}/{path}") for get in both)
            assert (one.status_code, one.json()) == (200, two.json())
        one, two = (get(f"/api/v1/sessions/{session_id}/timeline").json() for get in both)
        assert one == two
        one, two = (get(f"/api/v1/sessions/{session_id}/report") for get in both)
        assert (one.status_code, two.status_code) == (200, 200)


def test_lists_are_put_together_page_by_page(both: tuple[Get, Get]) -> None:
    for path, name, count in (
        ("sessions?state=all&limit=5", "sessions", len(SESSIONS)),
        ("sessions?state=ended&limit=5&event=event", "sessions", len(SESSIONS)),
        (f"anomalies?limit=3&{RANGE}", "anomalies", 4),
    ):
        one, two = (listed(get, path, name) for get in both)
        assert len(one) == count
        assert one == two
    named = "&".join(f"session={each}" for each in SESSIONS)
    one, two = (get(f"/api/v1/histories?{named}&{RANGE}").json() for get in both)
    assert one == two
    assert sum(len(each["points"]) for each in one["histories"]) > 300


def test_an_event_is_shown_with_the_sessions_of_all_databases(both: tuple[Get, Get]) -> None:
    one, two = (get("/api/v1/events/overview?event=event").json() for get in both)
    assert len(one["sessions"]) == len(SESSIONS)
    assert one == two


def test_exports_have_the_rows_of_all_databases(both: tuple[Get, Get]) -> None:
    for table in ("engagement_metrics", "anomalies"):
        for more in ("", "&event=event", f"&session={SESSIONS[0]}"):
            path = f"/api/v1/export?table={table}&format=csv{more}"
            one, two = (get(path).text.splitlines() for get in both)
            assert len(one) > 1
            assert one[0] == two[0]
            assert sorted(one) == sorted(two)
            if table == "anomalies":
                assert one == two


@pytest.mark.parametrize(
    "path", ["events", f"anomalies/quality?{RANGE}", "events/report?event=event"]
)
def test_what_needs_all_rows_at_once_is_refused(both: tuple[Get, Get], path: str) -> None:
    one, two = (get(f"/api/v1/{path}") for get in both)
    assert one.status_code == 200
    assert two.status_code == 501
    assert two.json()["error"]["code"] == "several_databases"
    assert "can't be read from several databases" in two.json()["error"]["message"]


def test_the_title_of_an_event_is_refused_but_not_that_of_a_session(both: tuple[Get, Get]) -> None:
    client: httpx.Client = both[1].__self__  # type: ignore[attr-defined] # a method
    for body, status in (
        ({"title": "Keynote"}, 200),
        ({"title": "Keynote", "eventTitle": "Expo"}, 501),
    ):
        response = client.put(f"/api/v1/sessions/{SESSIONS[0]}/about", json=body)
        assert response.status_code == status
    assert both[1](f"/api/v1/sessions/{SESSIONS[0]}/about").json()["title"] == "Keynote"
    titles = both[1]("/api/v1/titles").json()["sessions"]
    assert SESSIONS[0] not in titles  # it is over
