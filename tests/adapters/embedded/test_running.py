"""An own Valkey that another process runs can be found, and no other server is taken for it."""

from pathlib import Path

import redis

from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.adapters.embedded.valkey import running_valkey
from tests.support.servers import server_folder


def test_the_own_valkey_of_a_folder_is_found_while_it_runs() -> None:
    with server_folder() as folder:
        with EmbeddedServers(folder) as servers:
            url = servers.start_valkey()
            assert running_valkey(folder) == url
            assert running_valkey(folder / "other") is None
            with redis.Redis.from_url(url) as client:
                assert client.ping()
        assert running_valkey(folder) is None


def test_a_folder_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert running_valkey(tmp_path / "missing") is None
