"""A collector that begins without a checkpoint knows the directives that were given before."""

from typing import Final

import pytest
import redis

from conductor_actors.adapters.redis.connections.pipelines import server_time_ms
from conductor_actors.adapters.redis.events import directive_history
from conductor_actors.adapters.redis.events.directive_history import read_directives
from conductor_actors.domain.commands import (
    encode_event_mode,
    encode_quiet,
    encode_templates,
)
from conductor_actors.domain.conductor.directives import Directives
from conductor_actors.domain.conductor.policy import CellSums, Policy
from tests.support.event_samples import COMMANDS, OWN_NAMES, POLICY

AFTER_MS: Final = 1_000_000
POLICY_BODY: Final = b'{"version":%d,"cells":{"POLL:SUDDEN_DROP":[1,2,3,4,5,6]}}'
MESSAGE: Final = {"message": "Hello"}


def add(client: redis.Redis, name: str, *bodies: bytes, from_ms: int = 1) -> None:
    for number, body in enumerate(bodies):
        client.xadd(name, {"data": body}, id=f"{from_ms + number}-0")


def test_modes_templates_and_the_newest_policy_are_found_by_tenant(client: redis.Redis) -> None:
    add(client, COMMANDS, encode_event_mode("a", "OFF"), encode_templates({"BROADCAST": MESSAGE}))
    add(client, POLICY, POLICY_BODY % 1, POLICY_BODY % 2)
    add(client, f"acme:{COMMANDS}", encode_event_mode("a", "AUTO"), encode_event_mode("a", None))
    policy = Policy(2, {"POLL:SUDDEN_DROP": CellSums(1, 2, 3, 4, 5, 6)})
    found = read_directives(client, [*OWN_NAMES, *(f"acme:{name}" for name in OWN_NAMES)], AFTER_MS)
    assert found == {
        "default": Directives(policy, {"a": "OFF"}, {"BROADCAST": MESSAGE}),
        "acme": Directives(),
    }


def test_what_comes_later_is_not_known_yet(client: redis.Redis) -> None:
    add(client, COMMANDS, encode_event_mode("a", "OFF"))
    add(client, COMMANDS, encode_event_mode("a", "AUTO"), from_ms=AFTER_MS)
    add(client, POLICY, POLICY_BODY % 1)
    add(client, POLICY, POLICY_BODY % 2, from_ms=AFTER_MS)
    found = read_directives(client, OWN_NAMES, AFTER_MS)["default"]
    assert found.modes == {"a": "OFF"}
    assert found.policy.version == 1


def test_commands_are_read_in_pages_and_what_is_none_is_left_out(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directive_history, "DIRECTIVES_PER_PAGE", 3)
    bodies = [encode_event_mode(f"e{number}", "OFF") for number in range(9)]
    add(client, COMMANDS, b"no command", *bodies, encode_quiet("s", None), b"\xff")
    assert len(read_directives(client, OWN_NAMES, AFTER_MS)["default"].modes) == 9


def test_without_directives_there_are_none(client: redis.Redis) -> None:
    assert read_directives(client, OWN_NAMES, server_time_ms(client.time())) == {}
