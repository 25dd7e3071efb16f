"""The sessions of a single collector go on in partitions, as if nothing had changed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from conductor_actors.adapters.redis.outbox import RedisOutbox
from conductor_actors.app.adoption import adopt_checkpoint
from conductor_actors.app.partition_collector import HostServices, PartitionCollector
from conductor_actors.app.splitter import SplitterService
from conductor_actors.app.startup import ServerUrls
from conductor_actors.domain.partitions.partition import all_partitions
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.settings import Settings
from conductor_actors.settings.loading import load_settings
from tests.e2e.deployment import Deployment, terminate
from tests.support.programs import assert_refused, run_to_end, running
from tests.support.score_rows import row
from tests.support.waiting import wait_until


@pytest.fixture
def settings(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in deployment.settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CONDUCTOR_PARTITIONS", "5")
    monkeypatch.setenv("CONDUCTOR_TRANSPORT", "streams")
    return load_settings()


@contextmanager
def partitions_running(settings: Settings) -> Iterator[list[PartitionCollector]]:
    """Run a splitter and the collectors of all partitions until the block ends."""
    urls = ServerUrls(settings.redis_url or "", settings.database_url or "")
    services, splitter = HostServices(settings, urls), SplitterService(settings, urls)
    with ExitStack() as stack:
        stack.callback(services.close)
        services.prepare(threading.Event())
        splitting = threading.Thread(target=splitter.run)
        splitting.start()
        stack.callback(splitting.join)
        stack.callback(splitter.stop)
        collectors = [
            PartitionCollector(services, partition, "host", lambda _: False)
            for partition in all_partitions(settings.partitions)
        ]
        for collector in collectors:
            collector.start()
        yield collectors
        for collector in collectors:
            collector.stop()
        assert all(collector.wait(20) for collector in collectors)
        assert [collector.status().exit_code for collector in collectors] == [0] * len(collectors)


def collect_for_a_while(deployment: Deployment) -> None:
    """Run a single collector, and stop it."""
    with running("collect", cwd=deployment.cwd, **deployment.settings) as program:
        for _ in range(3):
            program.wait_for("batch_written")
        terminate(program)


def test_partitions_continue_with_the_sessions_of_a_single_collector(
    deployment: Deployment, settings: Settings
) -> None:
    url = settings.redis_url or ""
    with deployment.event_load():
        collect_for_a_while(deployment)
        adopt_checkpoint(settings, url)
        assert not deployment.client.exists("conductor:checkpoint")
        with partitions_running(settings) as collectors:
            wait_until(lambda: all(each.status().sessions for each in collectors))
            adopt_checkpoint(settings, url)  # once is enough
            before = sum(each.status().entries for each in collectors)
            wait_until(lambda: sum(each.status().entries for each in collectors) > before + 5000)
    deployment.assert_rows_are_those_of_a_replay()


def test_a_collector_of_all_sessions_is_refused_beside_partitions(
    deployment: Deployment,
) -> None:
    deployment.client.set("conductor:partitions", 5)
    ended = run_to_end("collect", cwd=deployment.cwd, **deployment.settings)
    assert_refused(ended, "the sessions are in 5 partitions", "start with --shards 2 or")


def test_sessions_are_not_shared_out_while_their_collector_runs_or_rows_of_it_wait(
    deployment: Deployment, settings: Settings
) -> None:
    url = settings.redis_url or ""
    deployment.add_reaction()
    with running("collect", cwd=deployment.cwd, **deployment.settings) as program:
        program.wait_for("checkpoint_committed")
        with pytest.raises(Unavailable, match="stop the collector that has all sessions"):
            adopt_checkpoint(settings, url)
        program.signal(signal.SIGTERM)
        program.finish()
    splitter = SplitterService(settings, ServerUrls(url, ""))
    with pytest.raises(ConfigError, match="conductor:checkpoint has the sessions"):
        splitter.run()
    outbox = RedisOutbox(url)
    outbox.append([row()])
    with pytest.raises(ConfigError, match="wait in conductor:outbox"):
        adopt_checkpoint(settings, url)
    outbox.delete(outbox.read_oldest(1))
    outbox.close()
    deployment.client.set("conductor:owner:{3}", "a host", px=60_000)
    with pytest.raises(Unavailable, match="stop what runs partition 3/5"):
        adopt_checkpoint(settings, url)
    assert deployment.client.exists("conductor:checkpoint")
