"""A Redis user with chosen permissions."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.connections.redis_errors import SERVICE_GRANTS


def granted_rules() -> list[str]:
    """Return the rules of the command that operators are told to run."""
    *command, name = SERVICE_GRANTS.split()[:3]
    assert (command, name) == (["ACL", "SETUSER"], "conductor")
    return SERVICE_GRANTS.replace(">PASSWORD", ">secret").split()[3:]


@contextmanager
def acl_user(client: redis.Redis, *rules: str) -> Iterator[None]:
    """Create the user `conductor` with these rules, until the block ends."""
    pipeline(client, [("ACL", "SETUSER", "conductor", "reset", *rules)])
    try:
        yield
    finally:
        pipeline(client, [("ACL", "DELUSER", "conductor")])


def as_user(url: str, password: str = "secret") -> str:
    """Return the URL with that user's name and a password."""
    return url.replace("//", f"//conductor:{password}@")
