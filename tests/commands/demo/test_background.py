from collections.abc import Callable

import psycopg
import pytest
import redis

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.app.startup import ServerUrls
from conductor_actors.commands.demo.background import begin_simulation
from conductor_actors.domain.session_titles import SESSION_INFO
from conductor_actors.settings import Settings
from conductor_actors.simulate.programme import EARLIER
from tests.support.event_samples import CHAT

NO_DATABASE = f"postgresql://postgres@127.0.0.1:{free_port()}/postgres"


@pytest.fixture
def empty_redis(redis_client: redis.Redis) -> redis.Redis:
    redis_client.flushall()
    return redis_client


def test_a_service_reads_the_whole_past_if_there_are_no_other_entries(
    valkey_url: str, empty_redis: redis.Redis
) -> None:
    _, settings = begin_simulation(ServerUrls(valkey_url, NO_DATABASE), 2, Settings())
    assert settings.start == "earliest"
    assert empty_redis.xlen(CHAT) > 10
    empty_redis.flushall()


def test_the_setting_of_where_reading_begins_stays_in_force(
    valkey_url: str, empty_redis: redis.Redis
) -> None:
    _, settings = begin_simulation(ServerUrls(valkey_url, NO_DATABASE), 1, Settings(start="window"))
    assert settings.start == "window"
    empty_redis.flushall()


def test_other_entries_are_not_read_from_the_oldest(
    valkey_url: str, empty_redis: redis.Redis
) -> None:
    empty_redis.xadd(CHAT, {"data": b"{}"}, id="5-1")
    _, settings = begin_simulation(ServerUrls(valkey_url, NO_DATABASE), 1, Settings())
    assert settings.start == "window"
    empty_redis.flushall()


def test_a_simulation_begins_without_a_past_while_redis_is_away() -> None:
    urls = ServerUrls(f"redis://127.0.0.1:{free_port()}", NO_DATABASE)
    simulation, settings = begin_simulation(urls, 1, Settings())
    assert settings.start == "window"
    assert simulation.step(1e9, 5)


def test_the_first_simulation_has_titles_and_sessions_that_ended_earlier(
    valkey_url: str,
    postgres_url: str,
    fresh_database: Callable[[str], str],
    empty_redis: redis.Redis,
) -> None:
    urls = ServerUrls(valkey_url, fresh_database(postgres_url))
    for _ in range(2):  # the second has what the first left
        begin_simulation(urls, 2, Settings())
        with psycopg.connect(urls.database) as connection:
            found = connection.execute(
                "SELECT session_id, max(time) < now() - interval '5 min',"
                " max(engagement_score) > 0.6"
                " FROM engagement_metrics GROUP BY session_id ORDER BY min(time)"
            ).fetchall()
            assert connection.execute("SELECT FROM interventions").rowcount == 0
        assert found == [(each.script.session_id, True, True) for each in EARLIER]
    assert empty_redis.xlen(SESSION_INFO) == 2 * (2 + len(EARLIER))
    empty_redis.flushall()
