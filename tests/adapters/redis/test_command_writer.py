"""Commands are written where the collector reads them: the contract of the port, and of Redis."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import pytest
import redis

from conductor_actors.adapters.redis import command_writer
from conductor_actors.adapters.redis.command_writer import RedisCommandWriter
from conductor_actors.adapters.redis.connections.namespaces import with_namespace
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.events.event_source import RedisSource, SourceOptions
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import CommandWriter
from tests.adapters.redis.acl_users import acl_user, as_user
from tests.support.event_samples import COMMANDS
from tests.support.fakes.memory_commands import MemoryCommands

_ANSWER_AND_TEMPLATES = ("conductor:decided:d-1", "conductor:templates")


class Written(NamedTuple):
    """A writer, and a function that returns a tenant's commands with their ids."""

    writer: CommandWriter
    of: Callable[[str], Sequence[tuple[str, bytes]]]


@pytest.fixture(params=["memory", "redis"])
def written(request: pytest.FixtureRequest, valkey_url: str, client: redis.Redis) -> Written:
    if request.param == "memory":
        memory = MemoryCommands()

        def kept(tenant: str) -> Sequence[tuple[str, bytes]]:
            numbered = enumerate(memory.written, 1)
            return [(f"{number}-0", body) for number, (of, body) in numbered if of == tenant]

        return Written(memory, kept)

    def stored(tenant: str) -> Sequence[tuple[str, bytes]]:
        key = COMMANDS if tenant == "default" else f"{tenant}:{COMMANDS}"
        entries: Any = client.xrange(key)
        return [(id_.decode(), fields[b"data"]) for id_, fields in entries]

    return Written(RedisCommandWriter(valkey_url), stored)


@pytest.mark.anyio
async def test_each_tenants_commands_are_written_in_order_under_their_ids(written: Written) -> None:
    sent = [("default", b"1"), ("acme", b"2"), ("default", b"3")]
    ids = [await written.writer.write(tenant, command) for tenant, command in sent]
    await written.writer.close()
    assert written.of("default") == [(ids[0], b"1"), (ids[2], b"3")]
    assert written.of("acme") == [(ids[1], b"2")]
    assert written.of("globex") == []


@pytest.mark.anyio
async def test_the_first_answer_to_a_suggestion_is_written_and_others_are_not(
    written: Written,
) -> None:
    writer = written.writer
    assert await writer.write_answer("default", "d-1", "APPROVED", b"1") is None
    assert await writer.write_answer("default", "d-1", "DISMISSED", b"2") == "APPROVED"
    assert await writer.write_answer("default", "d-1", "APPROVED", b"3") == "APPROVED"
    assert await writer.write_answer("acme", "d-1", "DISMISSED", b"4") is None
    assert await writer.write_answer("default", "d-2", "DISMISSED", b"5") is None
    await writer.close()
    assert [command for _, command in written.of("default")] == [b"1", b"5"]
    assert [command for _, command in written.of("acme")] == [b"4"]


@pytest.mark.anyio
async def test_of_many_answers_at_once_one_is_written(valkey_url: str, client: redis.Redis) -> None:
    writers = [RedisCommandWriter(valkey_url) for _ in range(4)]
    earlier = await asyncio.gather(
        *(
            writer.write_answer("default", "d-1", f"ANSWER-{number}", b"%d" % number)
            for number, writer in enumerate(writers * 5)
        )
    )
    for writer in writers:
        await writer.close()
    entries: Any = client.xrange(COMMANDS)
    [(_, fields)] = entries
    first = f"ANSWER-{fields[b'data'].decode()}"
    assert sorted(earlier, key=str) == [*[first] * 19, None]
    assert 3500 < int(str(client.ttl("conductor:decided:d-1"))) <= 3600


@pytest.mark.anyio
async def test_an_answer_whose_command_is_refused_can_be_given_again(
    valkey_url: str, client: redis.Redis
) -> None:
    writer = RedisCommandWriter(valkey_url)
    client.set(COMMANDS, "no stream")
    with pytest.raises(ConfigError):
        await writer.write_answer("default", "d-1", "APPROVED", b"1")
    client.delete(COMMANDS)
    assert await writer.write_answer("default", "d-1", "APPROVED", b"1") is None
    await writer.close()


@pytest.mark.anyio
async def test_templates_are_stored_with_their_command(written: Written) -> None:
    writer = written.writer
    assert await writer.read_templates("acme") is None
    entry_id = await writer.write_templates("acme", b"{}", b"1")
    await writer.write_templates("default", b"[]", b"2")
    await writer.write_templates("acme", "{é}".encode(), b"3")
    assert await writer.read_templates("acme") == "{é}".encode()
    assert await writer.read_templates("default") == b"[]"
    await writer.close()
    assert written.of("acme")[0] == (entry_id, b"1")


@pytest.fixture
def source(valkey_url: str) -> Iterator[RedisSource]:
    with closing(RedisSource(valkey_url, SourceOptions(tenants=("acme",)))) as source:
        source.read()
        yield source


@pytest.mark.anyio
async def test_the_collector_reads_what_is_written(valkey_url: str, source: RedisSource) -> None:
    writer = RedisCommandWriter(valkey_url)
    command_id = await writer.write("acme", b"{}")
    await writer.close()
    entries = [*source.read().entries]
    while not entries:
        entries += source.read().entries
    [(ms, sequence, name, body)] = entries
    assert (f"{ms}-{sequence}", name, body) == (command_id, f"acme:{COMMANDS}", b"{}")


@pytest.mark.anyio
async def test_the_newest_commands_are_kept(
    valkey_url: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_writer, "MAX_COMMANDS", 100)
    writer = RedisCommandWriter(valkey_url)
    for _ in range(400):
        newest = await writer.write("default", b"{}")
    await writer.close()
    assert client.xlen(COMMANDS) < 250  # of whole nodes, of a hundred entries each
    [(last, _)] = pipeline(client, [("XREVRANGE", COMMANDS, "+", "-", "COUNT", 1)])[0]
    assert last == newest.encode()


@pytest.mark.anyio
async def test_a_namespace_is_put_before_the_name(valkey_url: str, client: redis.Redis) -> None:
    writer = RedisCommandWriter(with_namespace(valkey_url, "staging"))
    await writer.write("acme", b"{}")
    await writer.write_answer("acme", "d-1", "APPROVED", b"{}")
    await writer.write_templates("acme", b"{}", b"{}")
    assert await writer.read_templates("acme") == b"{}"
    await writer.close()
    assert client.xlen(f"staging:acme:{COMMANDS}") == 3
    names = {f"staging:acme:{name}" for name in (COMMANDS, *_ANSWER_AND_TEMPLATES)}
    assert {key.decode() for key in client.scan_iter()} == names


@pytest.mark.anyio
async def test_a_redis_that_is_away_is_unavailable() -> None:
    writer = RedisCommandWriter("redis://127.0.0.1:1/0")
    with pytest.raises(Unavailable):
        await writer.write("default", b"{}")
    await writer.close()


@pytest.mark.anyio
async def test_a_missing_grant_is_the_operators(valkey_url: str, client: redis.Redis) -> None:
    with acl_user(client, "on", ">secret", "~*", "+ping", "+select"):
        writer = RedisCommandWriter(as_user(valkey_url))
        with pytest.raises(ConfigError, match=r"grant it.*~\*:conductor:commands"):
            await writer.write("default", b"{}")
        await writer.close()
