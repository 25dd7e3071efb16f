"""Which shard a session belongs to: the same in every process, whatever its version or start.

Rendezvous hashing: every shard bids for a session, and the highest bid wins. One shard more takes
about its share of the sessions, from all others alike; no other session moves.
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Final, NamedTuple, TypeAlias

import msgspec

from conductor_actors.domain.events import DECODERS, decode_closed
from conductor_actors.domain.identity import SessionKey, split
from conductor_actors.domain.intake import Entry


class Shard(NamedTuple):
    """One of so many collectors, which share all sessions."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


WHOLE: Final = Shard(0, 1)


def shards(count: int) -> list[Shard]:
    """List the shards that together own everything."""
    return [Shard(number, count) for number in range(count)]


def owner(session: SessionKey, count: int) -> int:
    """Return the number of the shard that a session belongs to."""
    key = str(session).encode("utf-8", "surrogatepass")

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


MOST_KNOWN: Final = 250_000  # sessions of a tenant; what was forgotten is hashed again


class _Address(msgspec.Struct, gc=False):
    sessionId: str | None = None


class _ClosedAddress(_Address, gc=False):
    poll: _Address | None = None


# The parser's own limit of nesting is far above that of events, so it is met by none.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_NOBODY: Final = _Address()
_address: Final = msgspec.json.Decoder(_Address).decode
_closed: Final = msgspec.json.Decoder(_ClosedAddress).decode

Peek: TypeAlias = Callable[[bytes], _Address]


class ShardFilter:
    """Knows of each session that it has met lately whether it is ours."""

    def __init__(self, shard: Shard, max_event_bytes: int) -> None:
        self._shard = shard
        self._max_bytes = max_event_bytes
        self._names: dict[str, tuple[Peek, dict[str | None, bool], str]] = {}
        self._tenants: dict[str, dict[str | None, bool]] = {}

    def ours(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return the entries of this shard, in the same order."""
        kept, names, max_bytes = [], self._names, self._max_bytes
        for entry in entries:
            _, _, name, body = entry
            peek, known, tenant = names.get(name) or self._meet(name)
            try:
                session = peek(body).sessionId if len(body) <= max_bytes else None
            except _UNREADABLE:
                session = None
            is_ours = known.get(session)
            if is_ours or (is_ours is None and self._learn(known, tenant, session)):
                kept.append(entry)
        return kept

    def _meet(self, name: str) -> tuple[Peek, dict[str | None, bool], str]:
        tenant, bare_name = split(name) or ("", "")
        known = self._tenants.setdefault(tenant, self._nothing_known())
        met = self._names[name] = (_peek(bare_name), known, tenant)
        return met

    def _learn(self, known: dict[str | None, bool], tenant: str, session: str | None) -> bool:
        if len(known) > MOST_KNOWN:
            known.clear()
            known |= self._nothing_known()
        key = SessionKey(tenant, session or "")
        is_ours = known[session] = owner(key, self._shard.of) == self._shard.number
        return is_ours

    def _nothing_known(self) -> dict[str | None, bool]:
        return {None: self._shard.number == 0}


def _peek(bare_name: str) -> Peek:
    decoder = DECODERS.get(bare_name)
    if decoder is None:
        return lambda _: _NOBODY
    return _closed_address if decoder is decode_closed else _address


def _closed_address(body: bytes) -> _Address:
    closed = _closed(body)
    return closed if closed.sessionId else closed.poll or closed
