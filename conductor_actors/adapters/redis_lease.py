"""One process at a time owns the events of a Redis: a lock that expires unless it is renewed."""

import os
import socket
import uuid
from typing import Final

from redis.exceptions import LockError

from conductor_actors.adapters.redis_client import open_client, translated
from conductor_actors.errors import OwnershipLost

NAME: Final = "conductor:owner"
EXPIRES_AFTER_S: Final = 10.0


class RedisLease:
    """A `Lease`. Its value says who has it: host, process id, and a random part."""

    def __init__(self, url: str) -> None:
        self._client = open_client(url)
        self._token = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._lock = self._client.lock(NAME, timeout=EXPIRES_AFTER_S, thread_local=False)
        # From the start: it may be ours although the reply that says so was lost.
        self._lock.local.token = self._token.encode()

    def hold(self) -> None:
        """Take or renew the lease; raise `OwnershipLost` naming who has it."""
        with translated():
            try:
                self._lock.reacquire()
            except LockError:  # it is not ours, or it expired: whoever is faster has it now
                if not self._lock.acquire(blocking=False, token=self._token):
                    raise OwnershipLost(
                        f"another conductor_actors ({self.owner()}) owns these events"
                    ) from None

    def release(self) -> None:
        """Give it up, so that the next process need not wait."""
        with translated():
            try:
                self._lock.release()
            except LockError:
                return  # it was not ours any more

    def owner(self) -> str:
        """Say who has it: host:pid:random, or nothing."""
        with translated():
            value = self._client.get(NAME)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""

    def expires_in_s(self) -> float:
        """Say when it expires unless it is renewed; 0 when nobody has it."""
        with translated():
            return max(0, int(self._client.pttl(NAME))) / 1000

    def close(self) -> None:
        """Let go of every connection."""
        self._client.close()
