"""The contract of every anomaly store, fake or real."""

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple
from uuid import UUID

import psycopg
import pytest

from conductor_actors.adapters.postgres.anomaly_store import PostgresAnomalyStore
from conductor_actors.adapters.several_databases.placed_anomalies import PlacedAnomalyStore
from conductor_actors.adapters.several_databases.placement import Placed
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import Unsupported
from conductor_actors.ports.anomaly_port import (
    AnomalyFeedback,
    AnomalyPage,
    AnomalySelection,
    AnomalyStore,
    StoredAnomaly,
    TypeQuality,
)
from tests.support.fakes.memory_anomalies import MemoryAnomalies
from tests.support.score_rows import AT_MS
from tests.support.stored_anomalies import anomaly, store_anomalies

pytestmark = pytest.mark.anyio

PARTITIONS = 5  # by which the sessions of the tests are in both databases
MINUTE_MS = 60_000
ALL = AnomalySelection("default", AT_MS - MINUTE_MS, AT_MS + 60 * MINUTE_MS)
PAGE = AnomalyPage(100)
NO_PROBLEM = AnomalyFeedback("not_a_problem", AT_MS + 7_000, "ann")
PROBLEM = AnomalyFeedback("problem", AT_MS + 9_000)


class StoreUnderTest(NamedTuple):
    store: AnomalyStore
    add: Callable[..., None]


DATABASES = ("shared_plain_database", "shared_timescale_database")
BOTH = ("shared_plain_database", "second_database")


@pytest.fixture(params=["memory", *DATABASES, "both databases"])
async def tested(request: pytest.FixtureRequest) -> AsyncIterator[StoreUnderTest]:
    if request.param == "memory":
        memory = MemoryAnomalies()
        yield StoreUnderTest(memory, memory.add)
        return
    names = BOTH if request.param == "both databases" else (request.param,)
    urls = [request.getfixturevalue(name) for name in names]
    for url in urls:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("TRUNCATE anomalies")
    placed = Placed[AnomalyStore]([PostgresAnomalyStore(url) for url in urls], PARTITIONS)
    store: AnomalyStore = PlacedAnomalyStore(placed) if len(urls) > 1 else placed.ports[0]

    def add(*anomalies: StoredAnomaly) -> None:
        for one in anomalies:
            number = placed.number_of(SessionKey(one.tenant_id, one.session_id))
            store_anomalies(urls[number], one)

    await store.open()
    yield StoreUnderTest(store, add)
    await store.close()


async def test_anomalies_are_found_as_they_were_stored(tested: StoreUnderTest) -> None:
    full = anomaly(1, ended_ms=AT_MS + 130_000, feedback=NO_PROBLEM)
    foreign = anomaly(2, AT_MS + 1, onset_ms=None, reason=None, signals={}, feedback=PROBLEM)
    tested.add(full, foreign)
    assert await tested.store.find(ALL, PAGE) == [foreign, full]


async def test_the_end_of_the_range_is_exclusive(tested: StoreUnderTest) -> None:
    tested.add(*(anomaly(n, AT_MS + n) for n in range(4)))
    found = await tested.store.find(ALL._replace(first_ms=AT_MS + 1, until_ms=AT_MS + 3), PAGE)
    assert [one.at_ms - AT_MS for one in found] == [2, 1]


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        (ALL, {1, 2, 3}),
        (ALL._replace(tenant_id="acme"), {4}),
        (ALL._replace(session_ids=["other"]), {2}),
        (ALL._replace(session_ids=["other", "session"]), {1, 2, 3}),
        (ALL._replace(session_ids=[]), set()),
        (ALL._replace(event_id="summit"), {3}),
        (ALL._replace(event_id="summit", session_ids=["other"]), set()),
    ],
    ids=repr,
)
async def test_a_selection_has_one_tenant_and_some_sessions_of_an_event(
    tested: StoreUnderTest, selection: AnomalySelection, found: set[int]
) -> None:
    tested.add(
        anomaly(1),
        anomaly(2, session_id="other"),
        anomaly(3, event_id="summit"),
        anomaly(4, tenant_id="acme", event_id="summit"),
    )
    assert {UUID(one.id).int for one in await tested.store.find(selection, PAGE)} == found


@pytest.mark.parametrize("is_newest_first", [True, False])
async def test_pages_have_each_anomaly_once_even_of_the_same_tick(
    tested: StoreUnderTest, *, is_newest_first: bool
) -> None:
    sessions = ("session", "other")
    tested.add(*(anomaly(n, AT_MS + n // 4, session_id=sessions[n % 2]) for n in range(10)))
    numbers, page = [], AnomalyPage(3, is_newest_first)
    while found := await tested.store.find(ALL, page):
        assert len(found) <= 3
        numbers += [UUID(one.id).int for one in found]
        page = page._replace(after=found[-1].position)
    assert numbers == sorted(range(10), reverse=is_newest_first)


async def test_open_anomalies_are_told_from_those_that_are_over(tested: StoreUnderTest) -> None:
    tested.add(anomaly(1), anomaly(2, ended_ms=AT_MS + 5000))
    (is_open,) = await tested.store.find(ALL, PAGE._replace(is_open=True))
    (over,) = await tested.store.find(ALL, PAGE._replace(is_open=False))
    assert (is_open.ended_ms, over.ended_ms) == (None, AT_MS + 5000)


async def test_the_recent_ones_of_some_tenants_are_open_or_ended_lately(
    tested: StoreUnderTest,
) -> None:
    tested.add(
        anomaly(1, AT_MS - 1),
        anomaly(2, AT_MS),
        anomaly(3, AT_MS + 1, tenant_id="acme", ended_ms=AT_MS + 100_000),
        anomaly(4, AT_MS + 2, ended_ms=AT_MS + 99_999),
        anomaly(5, AT_MS + 3),
    )
    both, ended_ms = ("default", "acme"), AT_MS + 100_000
    found = await tested.store.recent(both, AT_MS, ended_ms, 10)
    assert [UUID(one.id).int for one in found] == [5, 3, 2]
    assert [one.id for one in await tested.store.recent(both, AT_MS, AT_MS, 1)] == [anomaly(5).id]
    (of_acme,) = await tested.store.recent(["acme"], AT_MS, ended_ms, 10)
    assert of_acme.id == anomaly(3).id


async def test_the_last_feedback_replaces_the_former_which_is_returned(
    tested: StoreUnderTest,
) -> None:
    stored = anomaly(1, ended_ms=AT_MS + 5000)
    tested.add(stored, anomaly(2))
    former: StoredAnomaly | None = stored
    for feedback in (NO_PROBLEM, NO_PROBLEM, PROBLEM):
        returned = await tested.store.store_feedback("default", stored.id, None, feedback)
        assert returned == former
        former = stored._replace(feedback=feedback)
    assert await tested.store.find(ALL, PAGE) == [anomaly(2), stored._replace(feedback=PROBLEM)]


@pytest.mark.parametrize(
    ("tenant", "number", "sessions"),
    [
        ("acme", 1, None),
        ("default", 2, None),
        ("default", 1, ["other"]),
        ("default", 1, []),
    ],
)
async def test_feedback_on_an_anomaly_that_may_not_be_seen_changes_nothing(
    tested: StoreUnderTest, tenant: str, number: int, sessions: list[str] | None
) -> None:
    tested.add(anomaly(1))
    id_ = anomaly(number).id
    assert await tested.store.store_feedback(tenant, id_, sessions, NO_PROBLEM) is None
    assert await tested.store.find(ALL, PAGE) == [anomaly(1)]


async def test_feedback_is_stored_for_one_of_the_sessions(tested: StoreUnderTest) -> None:
    tested.add(anomaly(1))
    sessions = ["other", "session"]
    found = await tested.store.store_feedback("default", anomaly(1).id, sessions, NO_PROBLEM)
    assert found == anomaly(1)


async def test_quality_counts_each_type_and_has_the_median_duration(
    tested: StoreUnderTest,
) -> None:
    tested.add(
        anomaly(1, ended_ms=AT_MS + 10_000, feedback=NO_PROBLEM),
        anomaly(2, ended_ms=AT_MS + 25_000, feedback=PROBLEM),
        anomaly(3, AT_MS + 5_000, ended_ms=AT_MS + 100_000),
        anomaly(4, AT_MS + 5_000),
        anomaly(5, feedback=PROBLEM, type="LOW_ENGAGEMENT"),
        anomaly(6, tenant_id="acme", type="LOW_ENGAGEMENT"),
        anomaly(7, session_id="other", type="LOW_ENGAGEMENT"),
    )
    if isinstance(tested.store, PlacedAnomalyStore):
        with pytest.raises(Unsupported, match="can't be read from several databases"):
            await tested.store.quality(ALL)
        return
    assert await tested.store.quality(ALL._replace(session_ids=["session"])) == [
        TypeQuality("LOW_ENGAGEMENT", 1, 1, 0, None),
        TypeQuality("SUDDEN_DROP", 4, 2, 1, 25.0),
    ]
    assert await tested.store.quality(ALL._replace(until_ms=AT_MS)) == []
