"""Which shard owns a session: the same in every process, whatever its version or start.

Rendezvous hashing: every shard bids for a session, and the highest bid wins. One shard more takes
about its share of the sessions, from all others alike; no other session moves.
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Final, NamedTuple, Self, TypeAlias

import msgspec

from conductor_actors.domain.conductor.reports import decode_reported
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.events import DECODERS, OWN_NAMES, decode_closed
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


class _ReportedAddress(msgspec.Struct, gc=False):
    session_id: str | None = None


# The parser's own limit of nesting is far above that of events, so no valid event meets it.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_NO_ADDRESS: Final = _Address()
_address: Final = msgspec.json.Decoder(_Address).decode
_reported: Final = msgspec.json.Decoder(_ReportedAddress).decode
_closed: Final = msgspec.json.Decoder(_ClosedAddress).decode

Peek: TypeAlias = Callable[[bytes], _Address]


class _Name(NamedTuple):
    """What a name's entries need. `takes_rest`: those that are of no session are selected."""

    peek: Peek
    sessions: dict[str, bool]
    tenant: str
    takes_rest: bool


class ShardFilter:
    """Selects the entries of a shard's own sessions, and remembers which sessions those are."""

    def __init__(self, shard: Shard, max_event_bytes: int) -> None:
        self._shard = shard
        self._max_bytes = max_event_bytes
        self._names: dict[str, _Name] = {}
        self._tenants: dict[str, dict[str, bool]] = {}

    def select(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return the shard's own entries, in the same order."""
        selected, names, max_bytes = [], self._names, self._max_bytes
        for entry in entries:
            _, _, name, body = entry
            peek, known, tenant, takes_rest = names.get(name) or self._add_name(name)
            try:
                is_readable = len(body) <= max_bytes
                session = peek(body).sessionId if is_readable else None
            except _UNREADABLE:
                is_readable, session = False, None
            if not is_readable:
                takes_rest = self._shard.number == 0
            is_own = takes_rest if session is None else known.get(session)
            if is_own or (is_own is None and self._add_session(known, tenant, session or "")):
                selected.append(entry)
        return selected

    def _add_name(self, name: str) -> _Name:
        tenant, bare_name = split(name) or ("", "")
        known = self._tenants.setdefault(tenant, {})
        # What holds for a whole tenant is for every shard; what is of no session, for the first.
        takes_rest = bare_name in OWN_NAMES or self._shard.number == 0
        added = self._names[name] = _Name(_peek(bare_name), known, tenant, takes_rest)
        return added

    def _add_session(self, known: dict[str, bool], tenant: str, session: str) -> bool:
        if len(known) >= MAX_KNOWN_SESSIONS:
            known.clear()
        key = SessionKey(tenant, session)
        is_own = known[session] = owner_of(key, self._shard.of) == self._shard.number
        return is_own


def _peek(bare_name: str) -> Peek:
    decoder = DECODERS.get(bare_name)
    if decoder is None:
        return lambda _: _NO_ADDRESS
    if decoder is decode_reported:
        return _reported_address
    return _closed_address if decoder is decode_closed else _address


def _reported_address(body: bytes) -> _Address:
    return _Address(_reported(body).session_id)


def _closed_address(body: bytes) -> _Address:
    closed = _closed(body)
    return closed if closed.sessionId else closed.poll or closed
