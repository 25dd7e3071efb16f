"""The splitter as a program of its own. With `--unowned` it writes whoever has the lease.

So two of them write at once all the time, as otherwise only while one does not know that it has
lost the lease.
"""

import sys
from collections.abc import Sequence
from typing import Any

import redis

from conductor_actors.adapters.redis.connections.namespaces import with_namespace
from conductor_actors.adapters.redis.connections.pipelines import Command, transaction
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.app.signals import run_until_stopped
from conductor_actors.app.splitter import SplitterService
from conductor_actors.app.startup import ServerUrls, configure
from conductor_actors.errors import ConfigError


def own_always() -> None:
    def acquire(lease: RedisLease) -> None:
        del lease

    def run(fence: Fence, client: redis.Redis, commands: Sequence[Command]) -> Sequence[Any]:
        del fence
        return transaction(client, commands)

    setattr(RedisLease, "acquire_or_renew", acquire)  # noqa: B010 - mypy knows the signature
    setattr(Fence, "transaction", run)  # noqa: B010


def main() -> int:
    settings = configure(sys.stdout)
    if "--unowned" in sys.argv:
        own_always()
    urls = ServerUrls(with_namespace(settings.redis_url or "", settings.namespace), "")
    try:
        return run_until_stopped(SplitterService(settings, urls))
    except ConfigError as error:
        print(f"conductor_actors: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
