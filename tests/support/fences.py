"""The fence of an owner, for tests of what only the owner may do."""

from contextlib import closing

from conductor_actors.adapters.redis.client import open_client
from conductor_actors.adapters.redis.fence import Fence
from conductor_actors.adapters.redis.pipelines import pipeline


def take_ownership(url: str, number: int = 7) -> Fence:
    """Become the owner in place of any other process."""
    fence = Fence()
    fence.token = b"%d" % number
    with closing(open_client(url)) as client:
        pipeline(client, [("SET", fence.key, number)])
    return fence
