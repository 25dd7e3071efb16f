"""The partitions of a host, with collectors that do at once what they are told."""

import pytest

from conductor_actors.cluster.host_messages import PartitionFigures
from conductor_actors.cluster.hosted_partitions import HostedPartitions


class FakePartition:
    def __init__(self, number: int) -> None:
        self.number = number
        self.state = "new"
        self.exit_code: int | None = None

    def start(self) -> None:
        self.state = "running"

    def stop(self) -> None:
        self.state = "draining"

    def end(self, exit_code: int) -> None:
        self.state, self.exit_code = "ended", exit_code

    def wait(self, timeout_s: float) -> bool:
        assert timeout_s >= 0
        return self.exit_code is not None

    def figures(self) -> PartitionFigures:
        return PartitionFigures(self.number, self.state, exit_code=self.exit_code)

    def entries(self) -> int:
        return 10


class Opened:
    def __init__(self) -> None:
        self.partitions: list[FakePartition] = []
        self.hosted = HostedPartitions(self.open)

    def open(self, number: int) -> FakePartition:
        self.partitions.append(FakePartition(number))
        return self.partitions[-1]

    def states(self) -> dict[int, str]:
        return {each.number: each.state for each in self.hosted.report()}


@pytest.fixture
def opened() -> Opened:
    opened = Opened()
    opened.hosted.prepared()
    return opened


def test_partitions_start_and_drain_as_commanded(opened: Opened) -> None:
    opened.hosted.command([1, 2], [])
    assert opened.states() == {1: "running", 2: "running"}
    opened.hosted.command([], [1])
    assert opened.states() == {1: "draining", 2: "running"}


def test_a_partition_is_not_started_twice(opened: Opened) -> None:
    opened.hosted.command([1], [])
    opened.hosted.command([1], [])
    opened.hosted.command([], [1])
    opened.hosted.command([1], [])
    assert [each.number for each in opened.partitions] == [1]
    assert opened.states() == {1: "draining"}


def test_one_that_has_ended_is_reported_once_and_may_start_again(opened: Opened) -> None:
    opened.hosted.command([1], [])
    opened.partitions[0].end(0)
    assert [each.exit_code for each in opened.hosted.report()] == [0]
    assert opened.hosted.report() == []
    assert opened.hosted.entries() == 10
    opened.hosted.command([1], [])
    assert opened.states() == {1: "running"}
    assert opened.hosted.entries() == 20


def test_until_the_host_is_prepared_partitions_are_starting() -> None:
    opened = Opened()
    opened.hosted.command([1, 2], [])
    opened.hosted.command([], [2])
    assert opened.states() == {1: "starting"}
    assert opened.partitions == []
    opened.hosted.prepared()
    assert opened.states() == {1: "running"}


def test_if_the_host_can_not_be_prepared_partitions_fail_with_the_reason() -> None:
    opened = Opened()
    opened.hosted.fail("DATABASE_URL: a grant is missing")
    opened.hosted.command([1], [])
    [failed] = opened.hosted.report()
    assert (failed.exit_code, failed.obstacles) == (2, ("DATABASE_URL: a grant is missing",))
    assert opened.hosted.report() == []


def test_a_drain_of_all_ends_when_all_have_ended(opened: Opened) -> None:
    opened.hosted.command([1, 2], [])
    opened.hosted.drain()
    opened.partitions[0].end(0)
    assert not opened.hosted.wait(0)
    opened.partitions[1].end(0)
    assert opened.hosted.wait(0)
