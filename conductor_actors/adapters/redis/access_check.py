"""Check whether Redis can be used as the service needs it, without changing anything."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import product
from typing import Any, Final

import redis

from conductor_actors.adapters.redis.connections.client import database_number, open_client
from conductor_actors.adapters.redis.connections.namespaces import prefix_of
from conductor_actors.adapters.redis.connections.pipelines import Command, pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.connections.server_version import (
    OUTDATED,
    is_outdated,
    require_version,
)
from conductor_actors.adapters.redis.events.event_names import EventNames, event_tenant
from conductor_actors.adapters.redis.events.event_source import Transport
from conductor_actors.adapters.redis.events.stream_reader import StreamReader
from conductor_actors.adapters.redis.key_names import (
    ANSWER_PREFIX,
    CHECKPOINT_SESSIONS_KEY,
    DEAD_LETTERS_KEY,
    FENCE_KEY,
    OWNER_KEY,
    POLICY_KEY,
    PUBLISHED_KEY,
    REQUEST_CHANNEL,
    SENT_KEY,
)
from conductor_actors.adapters.redis.updates.update_publisher import PUBLISH_SCRIPT
from conductor_actors.domain.identity import COMMANDS, DEFAULT_TENANT, prefixed
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import NamesShared, emit
from conductor_actors.ports import PUBLISHED_NAMES, CheckResult
from conductor_actors.wire.intervention_messages import (
    ACTIONS_CHANNEL,
    notification_channel,
    session_channel,
)

_SHARED_NAMES: Final = (
    "pub/sub knows no database number: services in other databases of this server receive what "
    "this one publishes, and the reverse; set CONDUCTOR_NAMESPACE, and publish events with it"
)

_CHANNELS: Final = (
    *PUBLISHED_NAMES,
    ACTIONS_CHANNEL,
    session_channel("check"),
    notification_channel("check"),
)
_STREAMS: Final = (COMMANDS, SENT_KEY, POLICY_KEY)


def check(
    url: str, transport: Transport = "both", tenants: Sequence[str] = ()
) -> list[CheckResult]:
    """Return a result for each of connection and version, permissions, and memory policy."""
    try:
        client = open_client(url)
        try:
            with mapped_errors():
                info = client.info()
            require_version(str(info.get("redis_version")))
            shared = _shared_database(client)
            _require_access(client, transport, tenants)
        finally:
            client.close()
    except (ConfigError, Unavailable) as error:
        return [CheckResult(ok=False, line=f"redis: {str(error).removeprefix('redis: ')}")]
    access = CheckResult(ok=True, line="redis: events can be read, updates can be published")
    return [version_finding(info), access, *eviction_findings(info), *_shared(shared)]


def report_shared_names(url: str) -> None:
    """Report a database with a number, in which the service has no namespace."""
    with closing(open_client(url)) as client:
        database = _shared_database(client)
    if database:
        emit(NamesShared(database=database, advice=_SHARED_NAMES))


def _shared_database(client: redis.Redis) -> int:
    """Return the number of a database whose messages reach others; 0 if they do not."""
    return 0 if prefix_of(client) else database_number(client)


def _require_access(client: redis.Redis, transport: Transport, tenants: Sequence[str]) -> None:
    names = EventNames(client, tenants)
    with mapped_errors():
        streams = names.own() if transport == "pubsub" else names.current()
        watch: list[Command] = [("WATCH", FENCE_KEY), ("UNWATCH",)]
        commands = _service_commands(names, transport)
        # Redis checks permissions when commands are queued. DISCARD: none is run.
        pipeline(client, [*watch, ("MULTI",), *commands, ("DISCARD",)])
    reader = StreamReader(client, "latest", 0)
    reader.read(streams)
    for name in reader.wrong_type_keys:
        advice = "rename it"
        if not name.endswith(COMMANDS):
            advice += ", or set CONDUCTOR_TRANSPORT=pubsub"
        raise ConfigError(
            f"the key {prefix_of(client)}{name} is a {reader.wrong_type_keys.type_of(name)}, "
            f"not a stream: nothing is read from it; {advice}"
        )


def _service_commands(names: EventNames, transport: Transport) -> list[Command]:
    """Return one command for each permission that the service needs."""
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
        *((name, REQUEST_CHANNEL) for name in ("SUBSCRIBE", "UNSUBSCRIBE")),
        ("EVAL", PUBLISH_SCRIPT, 2, FENCE_KEY, PUBLISHED_KEY, ""),
        ("XRANGE", events[0], "-", "+"),
        ("XREVRANGE", events[0], "+", "-"),
        ("TYPE", events[0]),
        *(("PUBLISH", prefixed(*each), "") for each in product(tenants, _CHANNELS)),
        *(("XADD", prefixed(*each), "*", "data", "") for each in product(tenants, _STREAMS)),
        *(("HINCRBY", f"{prefixed(tenant, POLICY_KEY)}:sums", "check", 1) for tenant in tenants),
        ("HGETALL", f"{POLICY_KEY}:sums"),
        ("ZADD", f"{POLICY_KEY}:trials", 1, "check"),
        ("ZCARD", f"{POLICY_KEY}:trials"),
        ("ZREM", f"{POLICY_KEY}:trials", "check"),
        ("ZREMRANGEBYSCORE", f"{POLICY_KEY}:trials", 0, 1),
    ]
    if transport != "streams":
        commands.append(("SUBSCRIBE", *names.channels()))
        if names.channel_patterns():
            commands.append(("PSUBSCRIBE", *names.channel_patterns()))
    return commands


def _shared(database: int) -> list[CheckResult]:
    if not database:
        return []
    line = f"redis: database {database}: {_SHARED_NAMES}"
    return [CheckResult(ok=True, line=line, is_warning=True)]


def version_finding(info: Mapping[str, Any]) -> CheckResult:
    """Return what is to say of a server's version, by its reply to INFO."""
    kind, number = "Redis", info.get("redis_version")
    if "valkey_version" in info:
        kind, number = "Valkey", info["valkey_version"]
    if is_outdated(str(info.get("redis_version"))):
        return CheckResult(ok=True, line=f"redis: {kind} {number}: {OUTDATED}", is_warning=True)
    return CheckResult(ok=True, line=f"redis: {kind} {number}")


def eviction_findings(info: Mapping[str, Any]) -> list[CheckResult]:
    """Return what is to say of a server that may delete keys, by its reply to INFO."""
    policy = str(info.get("maxmemory_policy", ""))
    if not info.get("maxmemory") or not policy.startswith("allkeys"):
        return []
    advice = "may delete events that were not read; set it to noeviction"
    return [CheckResult(ok=False, line=f"redis: maxmemory-policy {policy} {advice}")]
