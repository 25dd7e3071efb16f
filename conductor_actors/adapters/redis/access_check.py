"""Check whether Redis can be used as the service needs it, without changing anything."""

from collections.abc import Mapping, Sequence
from typing import Any

import redis

from conductor_actors.adapters.redis import score_feed
from conductor_actors.adapters.redis.client import Command, mapped_errors, open_client, pipeline
from conductor_actors.adapters.redis.event_names import EventNames, event_tenant
from conductor_actors.adapters.redis.event_source import Transport
from conductor_actors.adapters.redis.key_names import (
    ANSWER_PREFIX,
    CHECKPOINT_SESSIONS_KEY,
    DEAD_LETTERS_KEY,
    FENCE_KEY,
    OWNER_KEY,
    REQUEST_CHANNEL,
)
from conductor_actors.adapters.redis.streams import StreamReader
from conductor_actors.domain.identity import DEFAULT_TENANT, prefixed
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import Finding


def check(url: str, transport: Transport = "both", tenants: Sequence[str] = ()) -> list[Finding]:
    """Report on connection, version, permissions and memory policy: one line each."""
    try:
        client = open_client(url)
        try:
            with mapped_errors():
                info = client.info()
            _use(client, transport, tenants)
        finally:
            client.close()
    except (ConfigError, Unavailable) as error:
        return [Finding(ok=False, line=f"redis: {str(error).removeprefix('redis: ')}")]
    return [_version(info), _permissions(), *_eviction(info)]


def _use(client: redis.Redis, transport: Transport, tenants: Sequence[str]) -> None:
    names = EventNames(client, tenants)
    with mapped_errors():
        streams = names.current()
        guard: list[Command] = [("WATCH", FENCE_KEY), ("UNWATCH",)]
        pipeline(client, [*guard, ("MULTI",), *_asked_only(names, transport), ("DISCARD",)])
    if transport != "pubsub":
        reader = StreamReader(client, "latest", 0)
        reader.read(streams)
        for name in reader.wrong_type_keys:
            raise ConfigError(
                f"the key {name} is a {reader.wrong_type_keys.kind(name)}, not a stream: "
                "nothing is read from it; rename it, or set CONDUCTOR_TRANSPORT=pubsub"
            )


def _asked_only(names: EventNames, transport: Transport) -> list[Command]:
    """List commands whose permissions Redis checks when they are queued; they never run."""
    events, letters, sessions = names.current(), DEAD_LETTERS_KEY, CHECKPOINT_SESSIONS_KEY
    tenants = {event_tenant(name) or DEFAULT_TENANT for name in events}
    commands: list[Command] = [
        ("XADD", letters, "*", "reason", "check"),
        ("XDEL", letters, "1-1"),
        ("XTRIM", letters, "MAXLEN", 1),
        ("XLEN", letters),
        ("SET", OWNER_KEY, "check"),
        ("PEXPIRE", OWNER_KEY, 1),
        *((name, FENCE_KEY) for name in ("GET", "DEL", "INCR", "EXISTS")),
        ("HSET", sessions, "check", ""),
        ("HSCAN", sessions, 0),
        *((name, sessions, "check") for name in ("HGET", "HDEL")),
        ("RPUSH", ANSWER_PREFIX, "check"),
        ("SUBSCRIBE", REQUEST_CHANNEL),
        ("XRANGE", events[0], "-", "+"),
        ("TYPE", events[0]),
        *(("PUBLISH", prefixed(tenant, score_feed.UPDATES), "") for tenant in tenants),
    ]
    if transport != "streams":
        commands.append(("SUBSCRIBE", *names.channels()))
        if names.channel_patterns():
            commands.append(("PSUBSCRIBE", *names.channel_patterns()))
    return commands


def _version(info: Mapping[str, Any]) -> Finding:
    kind, number = "Redis", info.get("redis_version")
    if "valkey_version" in info:
        kind, number = "Valkey", info["valkey_version"]
    return Finding(ok=True, line=f"redis: {kind} {number}")


def _permissions() -> Finding:
    return Finding(ok=True, line="redis: events can be read, updates can be published")


def _eviction(info: Mapping[str, Any]) -> list[Finding]:
    policy = str(info.get("maxmemory_policy", ""))
    if not info.get("maxmemory") or not policy.startswith("allkeys"):
        return []
    advice = "may delete events that were not read; set it to noeviction"
    return [Finding(ok=False, line=f"redis: maxmemory-policy {policy} {advice}")]
