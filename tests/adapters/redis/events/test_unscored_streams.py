"""The streams of what was sent, learnt and reported: no score depends on what is lost of them."""

from contextlib import closing
from typing import Final

import pytest
import redis

from conductor_actors.adapters.recordings.stream_range import StreamRange
from conductor_actors.adapters.redis.events.stream_reader import StreamReader
from tests.support.event_samples import POLICY, REPORTS_STREAM, SENT

TENANTS_POLICY: Final = f"acme:{POLICY}"


@pytest.mark.parametrize("name", [SENT, POLICY, TENANTS_POLICY, REPORTS_STREAM])
def test_what_is_trimmed_or_deleted_unread_makes_no_gap(
    client: redis.Redis, valkey_url: str, name: str
) -> None:
    client.xadd(name, {"data": b"read"})
    reader = StreamReader(client, "earliest", window_s=60)
    reader.read([name])
    successor = StreamReader(client, "earliest", window_s=60)
    successor.resume(reader.positions())
    for _ in range(5):
        client.xadd(name, {"data": b"lost"})
    client.xtrim(name, maxlen=1, approximate=False)
    successor.read([name])
    assert successor.gaps == []
    with closing(StreamRange(valkey_url, ("acme",), "-", "+")) as stream_range:
        assert stream_range.begins_ms == 0
