"""Keep the entries that are one shard's, as cheaply as possible: of a body its session alone.

An entry belongs to the shard of the session it names. What names none, or can't be read, belongs
to the first shard: so whatever an entry turns out to be, one shard alone counts it.
"""

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

import msgspec

from conductor_actors.domain.events import DECODERS, decode_closed
from conductor_actors.domain.intake import Entry
from conductor_actors.domain.names import split
from conductor_actors.domain.shards import Shard, owner

MOST_KNOWN: Final = 250_000  # sessions of a tenant; what was forgotten is hashed again


class _Address(msgspec.Struct, gc=False):
    sessionId: str | None = None


class _Closed(_Address, gc=False):
    poll: _Address | None = None


# The parser's own limit of nesting is far above that of events, so it is met by none.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_NOBODY: Final = _Address()
_address: Final = msgspec.json.Decoder(_Address).decode
_closed: Final = msgspec.json.Decoder(_Closed).decode

Peek: TypeAlias = Callable[[bytes], _Address]


class Sieve:
    """Knows of each session that it has met lately whether it is ours."""

    def __init__(self, shard: Shard, max_event_bytes: int) -> None:
        self._shard = shard
        self._max_bytes = max_event_bytes
        self._names: dict[str, tuple[Peek, dict[str | None, bool], str]] = {}
        self._tenants: dict[str, dict[str | None, bool]] = {}

    def ours(self, entries: Iterable[Entry]) -> list[Entry]:
        """Give the entries that are ours, in the same order."""
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
        key = (tenant, session or "")
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
