"""The outbox of titles in Redis."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from conductor_actors.adapters.redis.key_names import OUTBOX_KEY, TITLE_OUTBOX_KEY
from conductor_actors.adapters.redis.outbox import RedisTitleOutbox
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.domain.session_titles import SessionDetails, TitleChange
from tests.support.score_rows import AT_MS

CHANGES = [
    TitleChange("default", "keynote", AT_MS, SessionDetails("Keynote", ("Ada",), 1, 2, "e", "x")),
    TitleChange("acme", "keynote", AT_MS, SessionDetails(None)),
    TitleChange("acme", "\N{GRINNING FACE}", AT_MS, SessionDetails("x", event_title=None)),
]


@pytest.fixture
def outbox(valkey_url: str) -> Iterator[RedisTitleOutbox]:
    with closing(RedisTitleOutbox(valkey_url)) as outbox:
        yield outbox


def test_another_process_reads_the_same_titles_and_deletes_them(
    outbox: RedisTitleOutbox, valkey_url: str
) -> None:
    outbox.append(CHANGES[:2])
    outbox.append(CHANGES[2:])
    with closing(RedisTitleOutbox(valkey_url)) as other:
        page = other.read_oldest(10_000)
        assert page.changes == CHANGES
        other.delete(page)
        assert other.read_oldest(10_000).changes == ()
    assert outbox.read_oldest(10_000).ids == ()


def test_titles_do_not_stand_among_rows_nor_among_those_of_a_partition(
    outbox: RedisTitleOutbox, valkey_url: str, redis_client: redis.Redis
) -> None:
    outbox.append(CHANGES)
    assert redis_client.exists(OUTBOX_KEY) == 0
    assert redis_client.xlen(TITLE_OUTBOX_KEY) == 1
    with closing(RedisTitleOutbox(valkey_url, Partition(0, 2))) as partition:
        assert partition.read_oldest(10).ids == ()
