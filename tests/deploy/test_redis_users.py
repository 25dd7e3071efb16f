"""What each user of `redis.acl` may not do, on a real Valkey that compose's own command started."""

import asyncio
from pathlib import Path

import pytest
import redis

from conductor_actors.adapters.redis.command_writer import RedisCommandWriter
from conductor_actors.adapters.redis.updates.update_subscriber import RedisUpdateSubscriber
from conductor_actors.domain.commands import encode_quiet
from conductor_actors.ports import SubscriptionHandlers
from tests.deploy import acl
from tests.deploy.conftest import UserUrl
from tests.deploy.files import text
from tests.support.databases import migrated_database
from tests.support.event_samples import CHAT, SYNC
from tests.support.programs import run_to_end

REFUSED = {
    "collector": [
        ("XADD", SYNC, "*", "data", "x"),  # it can't make events up
        ("DEL", CHAT),
        ("XTRIM", CHAT, "MAXLEN", "0"),
        ("GET", "somebody:elses"),
        ("SET", "somebody:elses", "x"),
        ("PUBLISH", "somebody:elses", "x"),
        ("KEYS", "*"),
        ("FLUSHALL",),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("EVAL", "return 1", "1", "somebody:elses"),
        ("SCRIPT", "FLUSH"),
        ("SHUTDOWN",),
    ],
    "dashboard": [
        ("SET", "conductor:owner", "x"),
        ("XRANGE", "conductor:dead-letters", "-", "+"),
        ("XRANGE", CHAT, "-", "+"),
        ("XADD", SYNC, "*", "data", "x"),
        ("XRANGE", "conductor:commands", "-", "+"),
        ("XADD", "conductor:outbox", "*", "data", "x"),
        ("PUBLISH", "engagement:update", "x"),  # it can't make scores up
        ("PUBLISH", "conductor:requests", "x"),
        ("EVAL", "return 1", "1", "conductor:owner"),
        ("SET", "conductor:fence", "1"),
        ("GET", "conductor:sent:1"),
        ("SUBSCRIBE", SYNC),
        ("PSUBSCRIBE", "*"),
        ("SCAN", "0"),
    ],
    "producer": [
        ("XRANGE", CHAT, "-", "+"),
        ("XREAD", "STREAMS", CHAT, "0"),
        ("XADD", f"acme:{CHAT}", "*", "data", "x"),
        ("XADD", "conductor:dead-letters", "*", "data", "x"),
        ("XADD", "conductor:commands", "*", "data", "x"),  # it can't command
        ("PUBLISH", "engagement:update", "x"),
        ("SUBSCRIBE", CHAT),
        ("DEL", CHAT),
        ("GET", "conductor:owner"),
    ],
    "acme-producer": [
        ("XADD", CHAT, "*", "data", "x"),
        ("XADD", f"globex:{CHAT}", "*", "data", "x"),
        ("XADD", "acme:conductor:commands", "*", "data", "x"),
        ("PUBLISH", f"globex:{SYNC}", "x"),
        ("PUBLISH", "acme:engagement:update", "x"),
        ("XRANGE", f"acme:{CHAT}", "-", "+"),
        ("SUBSCRIBE", f"acme:{CHAT}"),
        ("SCAN", "0"),
    ],
    "inspector": [
        ("XADD", "conductor:dead-letters", "*", "data", "x"),
        ("XDEL", "conductor:dead-letters", "1-1"),
        ("DEL", "conductor:owner"),
        ("SET", "conductor:owner", "x"),
        ("XRANGE", CHAT, "-", "+"),
        ("PUBLISH", "engagement:update", "x"),
        ("RPUSH", "conductor:answer:1", "x"),  # it can't make answers up
        ("BLPOP", "conductor:owner", "0.01"),
        ("SCAN", "0"),
    ],
    "operator": [
        ("XADD", "conductor:outbox", "*", "data", "x"),
        ("SET", "conductor:owner", "x"),
        ("DEL", CHAT),
        ("PUBLISH", "engagement:update", "x"),
        ("SCAN", "0"),
    ],
}
ALLOWED: dict[str, list[tuple[str, ...]]] = {
    "dashboard": [
        ("XADD", name, "MAXLEN", "~", "10000", "*", "data", "x")
        for name in ("conductor:commands", "acme:conductor:commands")
    ],
    "producer": [
        ("XADD", CHAT, "MAXLEN", "~", "1000", "*", "data", "x"),
        ("XADD", "platform.sessions.chat.v1", "*", "data", "x"),
        ("PUBLISH", SYNC, "x"),
    ],
    "acme-producer": [("XADD", f"acme:{SYNC}", "*", "data", "x"), ("PUBLISH", f"acme:{CHAT}", "x")],
    "inspector": [
        ("XREVRANGE", "conductor:dead-letters", "+", "-", "COUNT", "10"),
        ("XLEN", "conductor:outbox"),
        ("INFO", "memory"),
        ("XREAD", "STREAMS", "conductor:log", "$"),
        ("PUBLISH", "conductor:requests", "x"),
        ("BLPOP", "conductor:answer:1", "0.01"),
    ],
}


def test_the_file_grants_the_collector_exactly_what_the_program_says_it_needs() -> None:
    assert text(acl.FILE) == acl.lines(), "run: python -m tests.deploy.acl"


@pytest.mark.parametrize(
    ("user", "command"), [(user, command) for user, all_ in REFUSED.items() for command in all_]
)
def test_each_user_is_refused_what_is_not_its_part(
    redis_user: UserUrl, user: str, command: tuple[str, ...]
) -> None:
    with (
        redis.Redis.from_url(redis_user(user)) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*command)


@pytest.mark.parametrize(
    ("user", "command"), [(user, command) for user, all_ in ALLOWED.items() for command in all_]
)
def test_each_user_is_allowed_its_part(
    redis_user: UserUrl, user: str, command: tuple[str, ...]
) -> None:
    with redis.Redis.from_url(redis_user(user)) as client:
        client.execute_command(*command)


def test_check_finds_nothing_missing_for_the_collector(
    redis_user: UserUrl, postgres_url: str, tmp_path: Path
) -> None:
    variables = {"REDIS_URL": redis_user("collector"), "CONDUCTOR_TENANTS": "*"}
    with migrated_database(postgres_url) as url:
        done = run_to_end("check", cwd=tmp_path, DATABASE_URL=url, **variables)
    assert done.exit_code == 0, done
    assert "redis: events can be read, updates can be published" in done.stdout


@pytest.mark.anyio
async def test_the_dashboard_gives_commands_of_every_tenant(redis_user: UserUrl) -> None:
    writer = RedisCommandWriter(redis_user("dashboard"))
    for tenant in ("default", "acme"):
        assert await writer.write_answer(tenant, "d-1", "APPROVED", b"{}") is None
        await writer.write_templates(tenant, b"{}", b"{}")
        assert await writer.read_templates(tenant) == b"{}"
    for tenant in ("default", "acme"):
        assert await writer.write(tenant, encode_quiet("s", None))
    await writer.close()


@pytest.mark.anyio
async def test_the_dashboard_hears_scores_and_what_conductors_do(redis_user: UserUrl) -> None:
    subscribed = asyncio.Event()
    subscriber = RedisUpdateSubscriber(redis_user("dashboard"))
    listening = asyncio.create_task(
        subscriber.listen(SubscriptionHandlers(subscribed.set, lambda _: None, lambda *_: None))
    )
    done, _ = await asyncio.wait(
        {listening, asyncio.create_task(subscribed.wait())},
        timeout=10,
        return_when=asyncio.FIRST_COMPLETED,
    )
    listening.cancel()
    assert done
    assert subscribed.is_set()


def test_an_operator_sends_dead_letters_again(redis_user: UserUrl, tmp_path: Path) -> None:
    with redis.Redis.from_url(redis_user("producer")) as producer:
        sent = producer.xadd(CHAT, {"data": b"no event"})
    with redis.Redis.from_url(redis_user("collector")) as collector:
        letter = {"source": CHAT, "entry_id": sent, "reason": "not_json", "body": b"no event"}
        collector.xadd("conductor:dead-letters", letter)
    as_operator = {"REDIS_URL": redis_user("operator")}
    done = run_to_end("dead-letters", "retry", "--all", cwd=tmp_path, **as_operator)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.endswith("1 sent again, 0 remaining\n")


def test_without_a_name_nobody_may_do_anything(redis_user: UserUrl) -> None:
    nameless = redis_user("").replace(":secret@", "")
    with (
        redis.Redis.from_url(nameless) as client,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        client.ping()
