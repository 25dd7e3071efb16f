import pytest
import redis

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.commands.demo.background import begin_simulation
from conductor_actors.settings import Settings
from tests.support.event_samples import CHAT


@pytest.fixture
def empty_redis(redis_client: redis.Redis) -> redis.Redis:
    redis_client.flushall()
    return redis_client


def test_a_service_reads_the_whole_past_if_there_are_no_other_entries(
    valkey_url: str, empty_redis: redis.Redis
) -> None:
    _, settings = begin_simulation(valkey_url, 2, Settings())
    assert settings.start == "earliest"
    assert empty_redis.xlen(CHAT) > 10
    empty_redis.flushall()


def test_the_setting_of_where_reading_begins_stays_in_force(
    valkey_url: str, empty_redis: redis.Redis
) -> None:
    _, settings = begin_simulation(valkey_url, 1, Settings(start="window"))
    assert settings.start == "window"
    empty_redis.flushall()


def test_other_entries_are_not_read_from_the_oldest(
    valkey_url: str, empty_redis: redis.Redis
) -> None:
    empty_redis.xadd(CHAT, {"data": b"{}"}, id="5-1")
    _, settings = begin_simulation(valkey_url, 1, Settings())
    assert settings.start == "window"
    empty_redis.flushall()


def test_a_simulation_begins_without_a_past_while_redis_is_away() -> None:
    simulation, settings = begin_simulation(f"redis://127.0.0.1:{free_port()}", 1, Settings())
    assert settings.start == "window"
    assert simulation.step(1e9, 5)
