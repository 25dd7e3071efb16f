"""What readers of partitions ask for: that the splitter goes back to a block that they miss."""

from collections.abc import Sequence
from contextlib import suppress

from conductor_actors.adapters.redis.connections.client import PROBE_TIMEOUT_S, open_client
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.events.entry_ids import ENTRY_ID, parse_id
from conductor_actors.adapters.redis.key_names import REWIND_KEY, key_of
from conductor_actors.domain.merging import Frontier
from conductor_actors.domain.partitions import all_partitions
from conductor_actors.errors import ConfigError, Unavailable


class RewindRequests:
    """Requests in the Redis servers that store the partitions, as `BlockWriter` has them."""

    def __init__(self, urls: Sequence[str], partitions: int) -> None:
        self._clients = [open_client(url, PROBE_TIMEOUT_S) for url in urls]
        self._keys = [key_of(each, REWIND_KEY) for each in all_partitions(partitions)]

    def pop(self) -> dict[int, Frontier]:
        """Remove and return the requests, by partition: where its missing block begins.

        Those of a server that is away are left for a later call. Readers repeat their requests.
        """
        found: dict[int, Frontier] = {}
        for number in range(len(self._clients)):
            with suppress(Unavailable, ConfigError), mapped_errors():
                found |= self._pop(number)
        return found

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients:
            client.close()

    def _pop(self, number: int) -> dict[int, Frontier]:
        client, step = self._clients[number], len(self._clients)
        keys = self._keys[number::step]
        values = pipeline(client, [("GET", key) for key in keys]) if keys else ()
        requests = {
            number + step * index: value for index, value in enumerate(values) if value is not None
        }
        if requests:
            pipeline(client, [("DEL", self._keys[each]) for each in requests])
        moments = {each: _moment(value) for each, value in requests.items()}
        return {each: moment for each, moment in moments.items() if moment is not None}


def _moment(value: bytes) -> Frontier | None:
    """Return the moment that a request names; None for anything else."""
    text = value.decode("ascii", "replace")
    return parse_id(value) if ENTRY_ID.fullmatch(text) else None
