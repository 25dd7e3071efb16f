"""Which shard a session belongs to: the same in every process, whatever its version or start.

Rendezvous hashing: every shard bids for a session, and the highest bid wins. One shard more takes
about its share of the sessions, from all others alike; no other session moves.
"""

from hashlib import blake2b
from typing import Final, NamedTuple

from conductor_actors.domain.intake import SessionKey


class Shard(NamedTuple):
    """One of so many collectors, which share the sessions of one Redis."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def name(self, key: str) -> str:
        """Give a key in Redis as this shard has it; a collector without others has it as it is."""
        return key if self.of == 1 else f"{key}:{self.number}-of-{self.of}"


WHOLE: Final = Shard(0, 1)


def shards(count: int) -> list[Shard]:
    """List the shards that together own everything."""
    return [Shard(number, count) for number in range(count)]


def owner(session: SessionKey, count: int) -> int:
    """Give the number of the shard that a session belongs to."""
    key = "/".join(session).encode("utf-8", "surrogatepass")  # no tenant has a slash

    def bid(number: int) -> bytes:
        return blake2b(key, digest_size=8, salt=b"%d" % number).digest()

    return max(range(count), key=bid)


def parsed(text: str) -> Shard:
    """Read `k/N`; raise `ValueError` that says what is wrong."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal()):
        raise ValueError("must be the shard's number, a slash and how many there are")
    shard = Shard(int(number), int(count))
    if shard.number >= shard.of:
        raise ValueError("shards are numbered from 0: the number must be less than their count")
    return shard
