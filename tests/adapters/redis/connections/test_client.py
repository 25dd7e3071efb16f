"""What a URL of a Redis may be, and what a client promises."""

from collections.abc import Callable
from contextlib import closing

import pytest
import redis

from conductor_actors.adapters.redis.connections.client import open_async_client, open_client
from conductor_actors.adapters.redis.connections.pipelines import Command, pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.errors import ConfigError
from tests.adapters.redis.acl_users import acl_user, as_user, granted_rules


@pytest.mark.parametrize("opens", [open_client, open_async_client])
@pytest.mark.parametrize(
    "url",
    [
        "",
        "secret",
        "localhost:6379",
        "http://user:secret@localhost:6379",
        "redis://user:secret@localhost:port",
        "redis://user:secret@localhost:99999",
        "redis://user:pass/secret@localhost:6379",
        "redis://user:pass#secret@localhost:6379",
        "redis://user:1234/secret@localhost:6379",
        "redis://user:1234?secret@localhost:6379",
        "redis://user:1234#secret@localhost:6379",
        "redis://user:secret@[::1:6379",
        "redis://localhost?socket_timeout=secret",
        "redis://localhost?secret=1",
        "redis://localhost?ssl_cert_reqs=secret",
        "redis:/user:secret@localhost:6379",
        "redis://localhost,password=secret",
        "redis://user:secret\udcff@localhost",
    ],
)
def test_an_invalid_url_is_refused_in_one_line_without_its_secrets(
    opens: Callable[[str], object], url: str
) -> None:
    with pytest.raises(ConfigError, match=r"^REDIS_URL .*e\.g\. redis://user:password@") as caught:
        opens(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("query", ["protocol=3", "decode_responses=true", "db=1", "timeout=5"])
def test_the_options_of_a_url_do_not_change_replies(client: redis.Redis, query: str) -> None:
    host, port = (client.connection_pool.connection_kwargs[key] for key in ("host", "port"))
    url = f"redis://{host}:{port}?{query}"
    if query.startswith("timeout"):
        with pytest.raises(ConfigError):
            open_client(url)
        return
    with closing(open_client(url)) as other:
        replies = pipeline(other, [("XADD", "s", "1-1", "a", "b"), ("XREAD", "STREAMS", "s", "0")])
    assert replies == [b"1-1", [[b"s", [[b"1-1", [b"a", b"b"]]]]]]


def test_a_reply_that_was_not_read_after_an_error_answers_no_later_command(
    client: redis.Redis,
) -> None:
    slow: Command = ("BLPOP", "nothing", 0.2)
    with pytest.raises(ConfigError), mapped_errors():
        pipeline(client, [("SET", "text", "x"), ("XLEN", "text"), slow])
    assert pipeline(client, [("ECHO", "mine")]) == [b"mine"]


@pytest.mark.anyio
async def test_no_client_sends_a_command_that_the_advised_grants_refuse(
    client: redis.Redis, valkey_url: str
) -> None:
    """CLIENT SETINFO would be refused: a Redis before 7.2 can't read a grant for it."""
    pipeline(client, [("ACL", "LOG", "RESET")])
    with acl_user(client, *granted_rules()):
        with closing(open_client(as_user(valkey_url))) as other:
            assert other.ping()
        asynchronous = open_async_client(as_user(valkey_url))
        assert await asynchronous.ping()
        await asynchronous.aclose()
    assert pipeline(client, [("ACL", "LOG")]) == [[]]
