"""Look whether Redis can be used as the service needs it, changing nothing."""

from typing import Final

from conductor_actors.adapters.redis_client import Command, exchange, open_client, translated
from conductor_actors.domain.events import DECODERS
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import Finding

NOBODY: Final = "conductor:check"  # a channel that nobody listens to


def check(url: str) -> list[Finding]:
    """Report on connection, version and permissions: one line each."""
    try:
        client = open_client(url)
        try:
            with translated():
                info = client.info("server")
                exchange(client, _probes())
        finally:
            client.close()
    except (ConfigError, Unavailable) as error:
        return [Finding(ok=False, line=f"redis: {error}")]
    kind, number = "Redis", info.get("redis_version")
    if "valkey_version" in info:
        kind, number = "Valkey", info["valkey_version"]
    return [
        Finding(ok=True, line=f"redis: {kind} {number}"),
        Finding(ok=True, line="redis: streams can be read, updates can be published"),
    ]


def _probes() -> list[Command]:
    names = list(DECODERS)
    return [
        ("TIME",),
        ("XREAD", "COUNT", 1, "STREAMS", *names, *("$" for _ in names)),
        ("PUBLISH", NOBODY, ""),
    ]
