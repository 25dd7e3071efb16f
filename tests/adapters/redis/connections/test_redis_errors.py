"""Which errors of Redis pass by themselves, which an operator must end, and what to grant."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
import redis

from conductor_actors.adapters.recordings.stream_range import StreamRange
from conductor_actors.adapters.redis.access_check import check
from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import Command, pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.dead_letter_stream import RedisDeadLetterQueue
from conductor_actors.adapters.redis.events.event_source import RedisSource, SourceOptions
from conductor_actors.adapters.redis.key_names import DEAD_LETTERS_KEY
from conductor_actors.adapters.redis.ownership.checkpoint_store import RedisCheckpointStore
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.adapters.redis.updates.update_publisher import RedisUpdatePublisher
from conductor_actors.domain.events import EVENT_STREAMS
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import Checkpoint, DeadLetter
from tests.adapters.redis.acl_users import acl_user, as_user, granted_rules
from tests.support.event_samples import CHAT, SYNC
from tests.support.score_rows import row

LETTER = DeadLetter(SYNC, "1-0", "not_json", b"")


def run(client: redis.Redis, *command: object) -> None:
    with mapped_errors():
        pipeline(client, [command])


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
def test_an_error_that_passes_by_itself_is_unavailable(client: redis.Redis, error: str) -> None:
    with pytest.raises(Unavailable, match=r"^redis: "):
        run(client, "EVAL", "return redis.error_reply(ARGV[1])", 0, error)


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
        ("ERR unknown command `HELLO`, with args beginning with: ", "6.2 or later is required"),
        ("ERR wrong number of arguments for 'hello' command", "6.2 or later is required"),
        ("ERR value is not an integer or out of range", "not an integer"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", "rename that key"),
    ],
)
def test_an_error_that_lasts_tells_the_operator_what_to_do(
    client: redis.Redis, error: str, advice: str
) -> None:
    with pytest.raises(ConfigError, match=f"^REDIS_URL: .*{advice}") as caught:
        run(client, "EVAL", "return redis.error_reply(ARGV[1])", 0, error)
    assert "\n" not in str(caught.value)


def test_an_error_of_a_server_of_partitions_says_which_it_is(
    valkey_url: str, client: redis.Redis
) -> None:
    host, port = (client.connection_pool.connection_kwargs[key] for key in ("host", "port"))
    with (
        acl_user(client, "on", ">secret"),
        closing(open_client(as_user(valkey_url), partition=Partition(7, 64))) as other,
        pytest.raises(ConfigError, match=rf"_PARTITION_REDIS_URLS \({host}:{port}\): .*grant it"),
    ):
        run(other, "GET", "conductor:fence:{7}")
    with (
        closing(open_client(as_user(valkey_url, "x"), partition=Partition(7, 64))) as other,
        pytest.raises(ConfigError, match=rf"_PARTITION_REDIS_URLS \({host}:{port}\): Redis ref"),
    ):
        run(other, "GET", "conductor:fence:{7}")


def test_a_refused_connection_is_unavailable() -> None:
    with (
        closing(open_client("redis://user:secret@127.0.0.1:1/0")) as client,
        pytest.raises(Unavailable, match="Connection refused") as caught,
    ):
        run(client, "PING")
    assert "secret" not in str(caught.value)


def test_a_database_number_that_does_not_exist_is_a_config_error(valkey_url: str) -> None:
    with (
        closing(open_client(valkey_url.removesuffix("/0") + "/9999")) as client,
        pytest.raises(ConfigError, match=r"^REDIS_URL: .*DB index"),
    ):
        run(client, "PING")


@pytest.mark.parametrize("rules", [("on", ">secret"), ("off", ">wrong"), ("on",)])
def test_a_wrong_password_is_reported_without_quoting_it(
    valkey_url: str, client: redis.Redis, rules: tuple[str, ...]
) -> None:
    with (
        acl_user(client, *rules),
        closing(open_client(as_user(valkey_url, "wrong"))) as other,
        pytest.raises(ConfigError, match=r"^REDIS_URL: Redis refuses the user") as caught,
    ):
        run(other, "PING")
    assert "wrong" not in str(caught.value)


@pytest.fixture
def lease(valkey_url: str) -> Iterator[RedisLease]:
    with closing(RedisLease(valkey_url)) as lease:
        lease.acquire_or_renew()
        yield lease


@pytest.fixture
def queue(valkey_url: str, lease: RedisLease) -> Iterator[RedisDeadLetterQueue]:
    with closing(RedisDeadLetterQueue(valkey_url, lease.fence)) as queue:
        yield queue


def test_a_replica_is_unavailable_until_it_is_promoted(
    client: redis.Redis, lease: RedisLease, queue: RedisDeadLetterQueue
) -> None:
    queue.add([LETTER])
    pipeline(client, [("REPLICAOF", "127.0.0.1", 1)])
    try:
        with pytest.raises(Unavailable, match="replica"):
            queue.add([LETTER])
        with pytest.raises(Unavailable, match="replica"):
            lease.acquire_or_renew()
    finally:
        pipeline(client, [("REPLICAOF", "NO", "ONE")])
    queue.add([LETTER])
    lease.acquire_or_renew()


def test_a_redis_without_free_memory_still_publishes_updates_and_renews_the_lease(
    valkey_url: str, client: redis.Redis, lease: RedisLease, queue: RedisDeadLetterQueue
) -> None:
    with closing(RedisUpdatePublisher(valkey_url, lease.fence)) as publisher:
        pipeline(client, [("CONFIG", "SET", "maxmemory", 1)])
        try:
            with pytest.raises(Unavailable, match="maxmemory"):
                queue.add([LETTER])
            publisher.publish([row()])
            lease.acquire_or_renew()
        finally:
            pipeline(client, [("CONFIG", "SET", "maxmemory", 0)])


def test_the_documented_grants_suffice(valkey_url: str, client: redis.Redis) -> None:
    for name in EVENT_STREAMS:
        client.xadd(name, {"data": b"1"})
        client.xadd(f"acme:{name}", {"data": b"1"})
    url = as_user(valkey_url)
    with acl_user(client, *granted_rules()):
        for tenants in (("*",), ("acme",)):
            assert all(result.ok for result in check(url, "both", tenants))
            with closing(RedisSource(url, SourceOptions("both", tenants, "earliest"))) as source:
                entries = [*source.read().entries]
                client.client_kill_filter(_type="pubsub")
                while not (read := source.read()).gaps:
                    entries += read.entries
                assert [gap.reason for gap in read.gaps] == ["reconnected"]
            assert len(entries) == 2 * len(EVENT_STREAMS)
            with closing(StreamRange(url, tenants, "-", "+")) as stream_range:
                assert sum(map(len, stream_range.chunks())) == 2 * len(EVENT_STREAMS)
        with ExitStack() as stack:
            lease = stack.enter_context(closing(RedisLease(url)))
            publisher = stack.enter_context(closing(RedisUpdatePublisher(url, lease.fence)))
            queue = stack.enter_context(closing(RedisDeadLetterQueue(url, lease.fence)))
            checkpoints = stack.enter_context(closing(RedisCheckpointStore(url, lease.fence)))
            lease.acquire_or_renew()
            lease.acquire_or_renew()
            assert lease.owner()
            publisher.publish([row(), row(tenant_id="acme")])
            queue.add([LETTER])
            first = Checkpoint(
                b"1", {SessionKey("default", "s"): b"2"}, [SessionKey("acme", "t")], is_full=True
            )
            assert checkpoints.commit(first)
            assert checkpoints.commit(first._replace(is_full=False))
            assert checkpoints.load()
            lease.release()
    assert client.xlen(DEAD_LETTERS_KEY) == 1


def test_the_documented_grants_allow_neither_writing_events_nor_reading_other_keys(
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
    with (
        acl_user(client, *granted_rules()),
        closing(open_client(as_user(valkey_url))) as other,
    ):
        for command in forbidden:
            with pytest.raises(ConfigError, match="grant it"):
                run(other, *command)
