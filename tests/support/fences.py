"""The fence of an owner, for tests of what only the owner may do."""

from contextlib import closing

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.ownership.fence import Fence


def take_ownership(url: str, number: int = 7) -> Fence:
    """Become the owner in place of any other process."""
    fence = Fence()
    fence.token = b"%d" % number
    with closing(open_client(url)) as client:
        pipeline(client, [("SET", fence.key, number)])
    return fence
