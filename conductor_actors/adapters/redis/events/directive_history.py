"""Read the directives that hold already when reading begins without a checkpoint."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import redis

from conductor_actors.adapters.redis.connections.pipelines import Command, pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.events.raw_entries import entries_of
from conductor_actors.domain.conductor.directives import NO_DIRECTIVES, DirectivesByTenant
from conductor_actors.domain.directive_table import DirectiveTable
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.identity import COMMANDS, POLICY, split
from conductor_actors.errors import InvalidEvent

DIRECTIVES_PER_PAGE: Final = 1000


def read_directives(
    client: redis.Redis, names: Sequence[str], before_ms: int
) -> DirectivesByTenant:
    """Return the directives of each tenant from the entries before a time.

    Of policies the newest is read, of commands all that their streams still have.
    """
    table = DirectiveTable(NO_DIRECTIVES)
    with mapped_errors():
        for name in names:
            if name.endswith(POLICY):
                _apply(table, _newest(client, name, before_ms))
            elif name.endswith(COMMANDS):
                _apply_commands(table, client, name, before_ms)
    return table.current


def _apply_commands(table: DirectiveTable, client: redis.Redis, name: str, before_ms: int) -> None:
    after = "-"
    while True:
        command: Command = ("XRANGE", name, after, before_ms - 1, "COUNT", DIRECTIVES_PER_PAGE)
        [found] = pipeline(client, [command])
        entries = entries_of(name, found)
        _apply(table, entries)
        if len(entries) < DIRECTIVES_PER_PAGE:
            return
        ms, sequence, *_ = entries[-1]
        after = f"({ms}-{sequence}"


def _newest(client: redis.Redis, name: str, before_ms: int) -> list[Entry]:
    command: Command = ("XREVRANGE", name, before_ms - 1, "-", "COUNT", 1)
    [found] = pipeline(client, [command])
    return entries_of(name, found)


def _apply(table: DirectiveTable, entries: Iterable[Entry]) -> None:
    """Apply what can be read; who wrote what can't was told when it was first read."""
    for ms, _, name, body in entries:
        tenant, bare_name = split(name) or ("", "")
        try:
            table.decoder(tenant, bare_name)(body, ms)
        except (InvalidEvent, msgspec.DecodeError, UnicodeDecodeError):
            continue
