"""Which partition an entry is for, by the session that its body names.

A body is not decoded for that, only looked into: the partition's collector decodes it.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias

import msgspec

from conductor_actors.domain.conductor.reports import decode_reported
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.events import DECODERS, OWN_NAMES, decode_closed
from conductor_actors.domain.identity import split
from conductor_actors.domain.partitions.partition import NO_SESSION, partition_of

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
    """What a name's entries need. `groups` are those of its tenant's known sessions.

    `rest` are the groups of entries that name no session.
    """

    peek: Peek
    groups: dict[str, list[Entry]]
    tenant: str
    rest: list[list[Entry]]


class SessionRouting:
    """Adds entries to the groups of their partitions, and remembers the group of each session.

    `groups` has a list for each partition. Clear them, but do not replace them.
    """

    def __init__(self, partitions: int, max_event_bytes: int) -> None:
        self.groups: list[list[Entry]] = [[] for _ in range(partitions)]
        self._max_bytes = max_event_bytes
        self._names: dict[str, _Name] = {}
        self._tenants: dict[str, dict[str, list[Entry]]] = {}

    def add(self, entries: Iterable[Entry]) -> None:
        """Add entries, in the same order within each group."""
        names, max_bytes = self._names, self._max_bytes
        unreadable = self.groups[NO_SESSION]
        for entry in entries:
            _, _, name, body = entry
            peek, groups, tenant, rest = names.get(name) or self._add_name(name)
            if len(body) > max_bytes:
                unreadable.append(entry)
                continue
            try:
                session = peek(body).sessionId
            except _UNREADABLE:
                unreadable.append(entry)
                continue
            if session is None:
                for group in rest:
                    group.append(entry)
                continue
            known = groups.get(session)
            if known is None:
                known = self._add_session(groups, tenant, session)
            known.append(entry)

    def _add_name(self, name: str) -> _Name:
        tenant, bare_name = split(name) or ("", "")
        groups = self._tenants.setdefault(tenant, {})
        # What holds for a whole tenant is for every partition.
        rest = self.groups if bare_name in OWN_NAMES else [self.groups[NO_SESSION]]
        added = self._names[name] = _Name(_peek(bare_name), groups, tenant, rest)
        return added

    def _add_session(
        self, groups: dict[str, list[Entry]], tenant: str, session: str
    ) -> list[Entry]:
        if len(groups) >= MAX_KNOWN_SESSIONS:
            groups.clear()
        number = partition_of(tenant, session, len(self.groups))
        group = groups[session] = self.groups[number]
        return group


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
