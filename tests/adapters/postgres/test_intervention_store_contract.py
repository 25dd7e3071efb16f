"""The contract of every intervention store, fake or real."""

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest

from conductor_actors.adapters.postgres import intervention_store
from conductor_actors.adapters.postgres.intervention_store import PostgresInterventionStore
from conductor_actors.adapters.several_databases.placed_interventions import (
    PlacedInterventionStore,
)
from conductor_actors.adapters.several_databases.placement import Placed
from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports.conductor_port import (
    InterventionCount,
    InterventionPage,
    InterventionStore,
    StoredIntervention,
    StoredTrial,
)
from tests.support.fakes.memory_interventions import MemoryInterventions
from tests.support.score_rows import AT_MS
from tests.support.stored_interventions import (
    store_interventions,
    store_trials,
    stored_intervention,
    stored_trial,
)

pytestmark = pytest.mark.anyio

PAGE = InterventionPage(100)
PARTITIONS = 5  # by which the sessions of the tests are in both databases


class StoreUnderTest(NamedTuple):
    store: InterventionStore
    add: Callable[..., None]
    add_trials: Callable[..., None]


DATABASES = ("shared_plain_database", "shared_timescale_database")
BOTH = ("shared_plain_database", "second_database")


@pytest.fixture(params=["memory", *DATABASES, "both databases"])
async def tested(request: pytest.FixtureRequest) -> AsyncIterator[StoreUnderTest]:
    if request.param == "memory":
        memory = MemoryInterventions()
        yield StoreUnderTest(memory, memory.add, memory.add_trials)
        return
    names = BOTH if request.param == "both databases" else (request.param,)
    urls = [request.getfixturevalue(name) for name in names]
    for url in urls:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("TRUNCATE interventions, agent_performance")
    placed = Placed[InterventionStore]([PostgresInterventionStore(url) for url in urls], PARTITIONS)
    store: InterventionStore = placed.ports[0]
    if len(urls) > 1:
        store = PlacedInterventionStore(placed)

    def add(*interventions: StoredIntervention) -> None:
        for one in interventions:
            number = placed.number_of(SessionKey(one.tenant_id, one.session_id))
            store_interventions(urls[number], one)

    def add_trials(tenant: str, *trials: StoredTrial) -> None:
        for one in trials:
            number = placed.number_of(SessionKey(tenant, one.session_id))
            store_trials(urls[number], tenant, one)

    await store.open()
    yield StoreUnderTest(store, add, add_trials)
    await store.close()


def numbers(found: Any) -> list[int]:
    return [UUID(one.id).int for one in found]


async def test_interventions_are_found_as_they_were_stored(tested: StoreUnderTest) -> None:
    full = stored_intervention(1, outcome={"reward": 0.5}, metadata={"origin": "act"})
    foreign = stored_intervention(2, AT_MS + 1, confidence=None, reasoning=None)
    tested.add(full, foreign)
    assert await tested.store.of_session("default", "session", PAGE) == [foreign, full]


async def test_a_session_is_of_one_tenant(tested: StoreUnderTest) -> None:
    tested.add(
        stored_intervention(1),
        stored_intervention(2, session_id="other"),
        stored_intervention(3, tenant_id="acme"),
    )
    assert numbers(await tested.store.of_session("default", "session", PAGE)) == [1]


async def test_pages_have_each_intervention_once_newest_first(tested: StoreUnderTest) -> None:
    tested.add(*(stored_intervention(n, AT_MS + n // 4) for n in range(10)))
    found: list[int] = []
    for offset in range(0, 12, 3):
        page = InterventionPage(3, offset)
        found += numbers(await tested.store.of_session("default", "session", page))
    assert found == [*reversed(range(10))]


@pytest.mark.parametrize(
    ("tenant", "since_ms", "sessions", "found"),
    [
        ("default", AT_MS, None, [2, 1]),
        ("default", AT_MS + 1, None, [2]),
        ("default", AT_MS, ["session"], [1]),
        ("default", AT_MS, [], []),
        ("acme", AT_MS, None, [4]),
    ],
)
async def test_those_of_an_event_are_found_since_then_and_of_these_sessions(
    tested: StoreUnderTest,
    tenant: str,
    since_ms: int,
    sessions: list[str] | None,
    found: list[int],
) -> None:
    tested.add(
        stored_intervention(1),
        stored_intervention(2, AT_MS + 1, session_id="other"),
        stored_intervention(3, event_id="another event"),
        stored_intervention(4, tenant_id="acme"),
        stored_intervention(5, AT_MS - 1),
    )
    assert numbers(await tested.store.of_event(tenant, "event", since_ms, PAGE, sessions)) == found
    page = InterventionPage(1, 1)
    second = await tested.store.of_event(tenant, "event", since_ms, page, sessions)
    assert numbers(second) == found[1:2]


async def test_one_is_found_by_its_id_by_those_who_may_see_it(tested: StoreUnderTest) -> None:
    one = stored_intervention(1)
    tested.add(one, stored_intervention(2))
    assert await tested.store.find("default", one.id) == one
    assert await tested.store.find("default", one.id, ["other", "session"]) == one
    assert await tested.store.find("default", one.id, ["other"]) is None
    assert await tested.store.find("acme", one.id) is None
    assert await tested.store.find("default", stored_intervention(3).id) is None


async def test_the_recent_ones_are_of_the_tenants_that_are_named(tested: StoreUnderTest) -> None:
    tested.add(
        stored_intervention(1, AT_MS - 1),
        stored_intervention(2, AT_MS, tenant_id="acme"),
        stored_intervention(3, AT_MS + 1, session_id="other"),
    )
    both = "default", "acme"
    assert numbers(await tested.store.recent(both, AT_MS, 10)) == [3, 2]
    assert numbers(await tested.store.recent(both, AT_MS, 1)) == [3]
    assert numbers(await tested.store.recent(["acme"], AT_MS, 10)) == [2]
    assert numbers(await tested.store.recent([], AT_MS, 10)) == []


async def test_counts_are_by_type_and_status(tested: StoreUnderTest) -> None:
    tested.add(
        stored_intervention(1, status="COMPLETED", outcome={"reward": 0.5}),
        stored_intervention(2, status="COMPLETED", outcome={"reward": -0.25}),
        stored_intervention(3, status="COMPLETED", outcome={"reward": None, "censored": "gap"}),
        stored_intervention(4, type="HOLD", status="HELD"),
        stored_intervention(5, session_id="other"),
        stored_intervention(6, tenant_id="acme"),
    )
    assert await tested.store.counts("default", "session") == [
        InterventionCount("BROADCAST", "COMPLETED", 3, 2, 1, 0.125),
        InterventionCount("HOLD", "HELD", 1, 0, 0, None),
    ]
    assert await tested.store.counts("default", "unknown") == []


async def test_trials_of_a_tenant_are_found_newest_first(tested: StoreUnderTest) -> None:
    tested.add_trials(
        "default",
        stored_trial(1),
        stored_trial(2, AT_MS + 1, session_id="other", type="HOLD", reward=None),
        stored_trial(3, AT_MS - 1),
    )
    tested.add_trials("acme", stored_trial(4))
    found = await tested.store.trials("default", AT_MS, 10)
    assert found == [
        stored_trial(2, AT_MS + 1, session_id="other", type="HOLD", reward=None),
        stored_trial(1),
    ]
    assert numbers(await tested.store.trials("default", AT_MS, 1)) == [2]
    assert numbers(await tested.store.trials("default", AT_MS, 10, ["session"])) == [1]
    assert numbers(await tested.store.trials("default", AT_MS, 10, [])) == []


async def test_what_another_program_stored_spoils_no_read(shared_plain_database: str) -> None:
    url = shared_plain_database
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE interventions, agent_performance")
        connection.execute(
            "INSERT INTO interventions VALUES (gen_random_uuid(), now(), 'default', 'session',"
            " 'event', 'POLL', 'odd', NULL, NULL, '[1]', '\"text\"'), (gen_random_uuid(), now(),"
            " 'default', 'session', 'event', 'POLL', 'odd', 1, '', '{\"reward\": \"high\"}', '[]')"
        )
        connection.execute(
            "INSERT INTO agent_performance VALUES (gen_random_uuid(), now(), 'default',"
            " 'engagement-conductor', 'POLL', NULL, NULL, NULL, NULL, '{\"before\": \"low\"}')"
        )
    store = PostgresInterventionStore(url)
    await store.open()
    found = await store.of_session("default", "session", PAGE)
    assert [(one.status, one.metadata) for one in found] == [("odd", {})] * 2
    assert await store.counts("default", "session") == [
        InterventionCount("POLL", "odd", 2, 0, 0, None)
    ]
    assert await store.trials("default", 0, 10) == []
    await store.close()


_NEWEST_PAGE = intervention_store._NEWEST_PAGE
READS = {
    "idx_intervention_session": intervention_store._SELECT_OF_SESSION + _NEWEST_PAGE,
    "idx_intervention_event": intervention_store._SELECT_OF_EVENT + _NEWEST_PAGE,
    "interventions_pkey": intervention_store._SELECT_ONE,
    "idx_intervention_time": intervention_store._SELECT_DECIDED_SINCE + _NEWEST_PAGE,
    "idx_intervention_session of counts": intervention_store._SELECT_COUNTS,
    "idx_performance_tenant": intervention_store._SELECT_TRIALS,
}


@pytest.fixture
def many_stored(shared_plain_database: str) -> str:
    """Return a database with many interventions of many sessions."""
    at = "'2026-01-04'::timestamptz + n * interval '1 minute'"
    with psycopg.connect(shared_plain_database, autocommit=True) as connection:
        connection.execute("TRUNCATE interventions, agent_performance")
        connection.execute(
            f"INSERT INTO interventions SELECT gen_random_uuid(), {at}, 'tenant ' || n % 20,"
            " 'session ' || n % 500, 'event ' || n % 50, 'POLL', 'SENT'"
            " FROM generate_series(1, 20000) AS n"
        )
        connection.execute(
            f"INSERT INTO agent_performance SELECT gen_random_uuid(), {at}, 'tenant ' || n % 20,"
            " 'engagement-conductor', 'POLL' FROM generate_series(1, 20000) AS n"
        )
        connection.execute("ANALYZE interventions, agent_performance")
    return shared_plain_database


@pytest.mark.parametrize("index", READS)
async def test_every_read_uses_an_index(many_stored: str, index: str) -> None:
    values = {
        "tenant_id": "tenant 1",
        "tenants": ["tenant 1"],
        "session_id": "session 1",
        "session_ids": None,
        "event_id": "event 1",
        "id": str(UUID(int=1)),
        "since": "2026-01-05T00:00:00Z",
        "limit": 10,
        "offset": 0,
    }
    with psycopg.connect(many_stored) as connection:
        explain = connection.execute(b"EXPLAIN " + READS[index].as_bytes(connection), values)
        plan = "\n".join(line for (line,) in explain)
    assert index.partition(" ")[0] in plan, plan
    assert "Seq Scan" not in plan, plan
