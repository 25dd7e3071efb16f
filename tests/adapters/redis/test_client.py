"""What a Redis may answer, whose turn it then is to act, and what a user must be granted."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest
import redis

from conductor_actors.adapters.recordings.stream_range import StreamRange
from conductor_actors.adapters.redis.access_check import check
from conductor_actors.adapters.redis.checkpoint_store import RedisCheckpointStore
from conductor_actors.adapters.redis.client import (
    GRANTS,
    Command,
    mapped_errors,
    open_async_client,
    open_client,
    pipeline,
)
from conductor_actors.adapters.redis.event_source import RedisSource, SourceOptions
from conductor_actors.adapters.redis.key_names import DEAD_LETTERS_KEY
from conductor_actors.adapters.redis.lease import RedisLease
from conductor_actors.adapters.redis.score_feed import RedisScoreFeed
from conductor_actors.domain.events import DECODERS
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import Checkpoint, DeadLetter
from tests.support.hostile import CHAT, SYNC
from tests.support.score_rows import row

LETTER = DeadLetter(SYNC, "1-0", "not_json", b"")


@pytest.fixture
def client(valkey_url: str, redis_client: redis.Redis) -> Iterator[redis.Redis]:
    del redis_client  # for its empty database
    with closing(open_client(valkey_url)) as client:
        yield client


@contextmanager
def user(client: redis.Redis, *rules: str) -> Iterator[None]:
    pipeline(client, [("ACL", "SETUSER", "conductor", "reset", *rules)])
    try:
        yield
    finally:
        pipeline(client, [("ACL", "DELUSER", "conductor")])


def as_user(url: str, password: str = "secret") -> str:
    return url.replace("//", f"//conductor:{password}@")


def granted() -> list[str]:
    """Give the rules of the line that operators are told to run."""
    *command, name = GRANTS.split()[:3]
    assert (command, name) == (["ACL", "SETUSER"], "conductor")
    return GRANTS.replace(">PASSWORD", ">secret").split()[3:]


def feed_of(url: str, lease: RedisLease) -> RedisScoreFeed:
    return RedisScoreFeed(url, lease.fence)


def ask(client: redis.Redis, *command: Command) -> None:
    with mapped_errors():
        pipeline(client, command)


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
        "redis:/user:secret@localhost:6379",
        "redis://localhost,password=secret",
        "redis://user:secret\udcff@localhost",
        "redis://user:1234?secret@localhost:6379",
        "redis://user:1234#secret@localhost:6379",
        "redis://user:secret@[::1:6379",
        "redis://localhost?socket_timeout=secret",
        "redis://localhost?secret=1",
        "redis://localhost?ssl_cert_reqs=secret",
    ],
)
def test_what_is_no_url_is_refused_in_one_line_without_its_secrets(
    opens: Callable[[str], object], url: str
) -> None:
    with pytest.raises(ConfigError, match=r"^REDIS_URL .*e\.g\. redis://user:password@") as caught:
        opens(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("query", ["protocol=3", "decode_responses=true", "db=1", "timeout=5"])
def test_what_a_url_says_besides_changes_no_answer(client: redis.Redis, query: str) -> None:
    host, port = (client.connection_pool.connection_kwargs[key] for key in ("host", "port"))
    url = f"redis://{host}:{port}?{query}"
    if query.startswith("timeout"):
        with pytest.raises(ConfigError):
            open_client(url)
        return
    with closing(open_client(url)) as other:
        answers = pipeline(other, [("XADD", "s", "1-1", "a", "b"), ("XREAD", "STREAMS", "s", "0")])
    assert answers == [b"1-1", [[b"s", [[b"1-1", [b"a", b"b"]]]]]]


@pytest.mark.parametrize(
    "error",
    [
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "READONLY You can't write against a read only replica.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk.",
        "NOREPLICAS Not enough good replicas to write.",
        "EXECABORT Transaction discarded because of previous errors.",
        "BUSY Redis is busy running a script.",
        "CLUSTERDOWN The cluster is down",
        "ERR max number of clients reached",
        "ERR something nobody has thought of",
    ],
)
def test_what_passes_is_unavailable(client: redis.Redis, error: str) -> None:
    with pytest.raises(Unavailable, match=r"^redis: "):
        ask(client, ("EVAL", "return redis.error_reply(ARGV[1])", 0, error))


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("NOAUTH Authentication required.", "user or password"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "user or password"),
        ("NOPERM this user has no permissions to run the 'xread' command", r"grant it.*\+xread"),
        (
            "EXECABORT Transaction discarded because of: NOPERM User has no permissions to run",
            "grant it",
        ),
        ("CROSSSLOT Keys in request don't hash to the same slot", "not clustered"),
        ("MOVED 3999 127.0.0.1:6381", "not clustered"),
        ("ERR unknown command 'XREAD', with args beginning with: 'x'", "command 'XREAD'$"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", "rename that key"),
    ],
)
def test_what_never_passes_is_the_operators_turn(
    client: redis.Redis, error: str, advice: str
) -> None:
    with pytest.raises(ConfigError, match=f"^REDIS_URL: .*{advice}") as caught:
        ask(client, ("EVAL", "return redis.error_reply(ARGV[1])", 0, error))
    assert "\n" not in str(caught.value)


def test_a_refused_connection_is_unavailable() -> None:
    with (
        closing(open_client("redis://user:secret@127.0.0.1:1/0")) as client,
        pytest.raises(Unavailable, match="Connection refused") as caught,
    ):
        ask(client, ("PING",))
    assert "secret" not in str(caught.value)


def test_a_database_that_is_not_there_is_the_operators_turn(valkey_url: str) -> None:
    with (
        closing(open_client(valkey_url.removesuffix("/0") + "/9999")) as client,
        pytest.raises(ConfigError, match=r"^REDIS_URL: .*DB index"),
    ):
        ask(client, ("PING",))


@pytest.mark.parametrize("rules", [("on", ">secret"), ("off", ">wrong"), ("on",)])
def test_a_wrong_password_is_told_without_telling_it(
    valkey_url: str, client: redis.Redis, rules: tuple[str, ...]
) -> None:
    with (
        user(client, *rules),
        closing(open_client(as_user(valkey_url, "wrong"))) as other,
        pytest.raises(ConfigError, match=r"^REDIS_URL: Redis refuses the user") as caught,
    ):
        ask(other, ("PING",))
    assert "wrong" not in str(caught.value)


def test_a_replica_can_not_be_written_to_until_it_is_promoted(
    valkey_url: str, client: redis.Redis
) -> None:
    with closing(RedisLease(valkey_url)) as lease, closing(feed_of(valkey_url, lease)) as feed:
        lease.hold()
        pipeline(client, [("REPLICAOF", "127.0.0.1", 1)])
        try:
            with pytest.raises(Unavailable, match="read only replica"):
                feed.add([LETTER])
            with pytest.raises(Unavailable, match="read only replica"):
                lease.hold()
        finally:
            pipeline(client, [("REPLICAOF", "NO", "ONE")])
        feed.add([LETTER])
        lease.hold()


def test_a_full_redis_still_takes_updates_and_renews_the_lease(
    valkey_url: str, client: redis.Redis
) -> None:
    with closing(RedisLease(valkey_url)) as lease, closing(feed_of(valkey_url, lease)) as feed:
        lease.hold()
        pipeline(client, [("CONFIG", "SET", "maxmemory", 1)])
        try:
            with pytest.raises(Unavailable, match="maxmemory"):
                feed.add([LETTER])
            feed.publish([row()])
            lease.hold()
        finally:
            pipeline(client, [("CONFIG", "SET", "maxmemory", 0)])


def test_an_answer_after_an_error_meets_no_other_question(client: redis.Redis) -> None:
    late: Command = ("BLPOP", "nothing", 0.2)
    with pytest.raises(ConfigError):
        ask(client, ("SET", "text", "x"), ("XLEN", "text"), late)
    assert pipeline(client, [("ECHO", "mine")]) == [b"mine"]


def test_the_grants_are_all_that_is_needed(valkey_url: str, client: redis.Redis) -> None:
    for name in DECODERS:
        client.xadd(name, {"data": b"1"})
        client.xadd(f"acme:{name}", {"data": b"1"})
    url = as_user(valkey_url)
    with user(client, *granted()):
        for tenants in (("*",), ("acme",)):
            assert all(finding.ok for finding in check(url, "both", tenants))
            with closing(RedisSource(url, SourceOptions("both", tenants, "earliest"))) as source:
                entries = [*source.read().entries]
                client.client_kill_filter(_type="pubsub")
                while not (read := source.read()).gaps:
                    entries += read.entries
                assert [gap.reason for gap in read.gaps] == ["reconnected"]
            assert len(entries) == 12
            with closing(StreamRange(url, tenants, "-", "+")) as stream_range:
                assert sum(map(len, stream_range.chunks())) == 12
        with ExitStack() as stack:
            lease = stack.enter_context(closing(RedisLease(url)))
            feed = stack.enter_context(closing(RedisScoreFeed(url, lease.fence)))
            checkpoints = stack.enter_context(closing(RedisCheckpointStore(url, lease.fence)))
            lease.hold()
            lease.hold()
            assert lease.owner()
            feed.publish([row(), row(tenant_id="acme")])
            feed.add([LETTER])
            first = Checkpoint(
                b"1", {SessionKey("default", "s"): b"2"}, [SessionKey("acme", "t")], is_full=True
            )
            assert checkpoints.commit(first)
            assert checkpoints.commit(first._replace(is_full=False))
            assert checkpoints.load()
            lease.release()
    assert client.xlen(DEAD_LETTERS_KEY) == 1


def test_the_grants_let_nobody_write_events_or_read_what_is_not_ours(
    valkey_url: str, client: redis.Redis
) -> None:
    forbidden: list[Command] = [
        ("XADD", CHAT, "*", "data", ""),
        ("XADD", f"acme:{SYNC}", "*", "data", ""),
        ("GET", "secrets"),
        ("XREAD", "STREAMS", "orders", 0),
        ("PUBLISH", "orders", ""),
        ("SUBSCRIBE", "orders"),
        ("FLUSHALL",),
        ("CONFIG", "GET", "*"),
        ("CLIENT", "KILL", "TYPE", "normal"),
    ]
    with user(client, *granted()), closing(open_client(as_user(valkey_url))) as other:
        for command in forbidden:
            with pytest.raises(ConfigError, match="grant it"):
                ask(other, command)
