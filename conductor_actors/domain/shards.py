"""Which shard owns a session: the same in every process, whatever its version or start.

Rendezvous hashing: every shard bids for a session, and the highest bid wins. One shard more takes
about its share of the sessions, from all others alike; no other session moves.
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Final, NamedTuple, Self, TypeAlias

import msgspec

from conductor_actors.domain.entries import Entry
from conductor_actors.domain.events import DECODERS, decode_closed
from conductor_actors.domain.identity import SessionKey, split


class Shard(NamedTuple):
    """One of several collectors that share all sessions. Its text form is `number/of`."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shard that a text names; raise `ValueError` with the reason if it is none."""
        number, _, count = text.partition("/")
        if not (number.isdecimal() and count.isdecimal()):
            raise ValueError("must be the shard's number, a slash and how many there are")
        shard = cls(int(number), int(count))
        if shard.number >= shard.of:
            raise ValueError("shards are numbered from 0: the number must be less than their count")
        return shard


SINGLE_SHARD: Final = Shard(0, 1)


def all_shards(count: int) -> list[Shard]:
    """Return the shards that together own all sessions."""
    return [Shard(number, count) for number in range(count)]


def owner_of(session: SessionKey, count: int) -> int:
    """Return the number of the shard that owns a session."""
    key = str(session).encode("utf-8", "surrogatepass")

    def bid(number: int) -> bytes:
        return blake2b(key, digest_size=8, salt=b"%d" % number).digest()

    return max(range(count), key=bid)


MAX_KNOWN_SESSIONS: Final = 250_000  # of a tenant; then all are forgotten, and hashed again


class _Address(msgspec.Struct, gc=False):
    sessionId: str | None = None


class _ClosedAddress(_Address, gc=False):
    poll: _Address | None = None


# The parser's own limit of nesting is far above that of events, so no valid event meets it.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_NO_ADDRESS: Final = _Address()
_address: Final = msgspec.json.Decoder(_Address).decode
_closed: Final = msgspec.json.Decoder(_ClosedAddress).decode

Peek: TypeAlias = Callable[[bytes], _Address]


class ShardFilter:
    """Selects the entries of a shard's own sessions, and remembers which sessions those are."""

    def __init__(self, shard: Shard, max_event_bytes: int) -> None:
        self._shard = shard
        self._max_bytes = max_event_bytes
        self._names: dict[str, tuple[Peek, dict[str | None, bool], str]] = {}
        self._tenants: dict[str, dict[str | None, bool]] = {}

    def select(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return the shard's own entries, in the same order."""
        selected, names, max_bytes = [], self._names, self._max_bytes
        for entry in entries:
            _, _, name, body = entry
            peek, known, tenant = names.get(name) or self._add_name(name)
            try:
                session = peek(body).sessionId if len(body) <= max_bytes else None
            except _UNREADABLE:
                session = None
            is_own = known.get(session)
            if is_own or (is_own is None and self._add_session(known, tenant, session)):
                selected.append(entry)
        return selected

    def _add_name(self, name: str) -> tuple[Peek, dict[str | None, bool], str]:
        tenant, bare_name = split(name) or ("", "")
        known = self._tenants.setdefault(tenant, self._no_sessions())
        added = self._names[name] = (_peek(bare_name), known, tenant)
        return added

    def _add_session(self, known: dict[str | None, bool], tenant: str, session: str | None) -> bool:
        if len(known) > MAX_KNOWN_SESSIONS:
            known.clear()
            known |= self._no_sessions()
        key = SessionKey(tenant, session or "")
        is_own = known[session] = owner_of(key, self._shard.of) == self._shard.number
        return is_own

    def _no_sessions(self) -> dict[str | None, bool]:
        """Return the start of a tenant: an entry without a session belongs to the first shard."""
        return {None: self._shard.number == 0}


def _peek(bare_name: str) -> Peek:
    decoder = DECODERS.get(bare_name)
    if decoder is None:
        return lambda _: _NO_ADDRESS
    return _closed_address if decoder is decode_closed else _address


def _closed_address(body: bytes) -> _Address:
    closed = _closed(body)
    return closed if closed.sessionId else closed.poll or closed
