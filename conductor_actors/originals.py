"""What a dead letter was made of: the stream entry, found again."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from conductor_actors.actors.sessions import letter_body
from conductor_actors.adapters.recordings import ENTRY_ID
from conductor_actors.adapters.redis_feed import BODY_BYTES
from conductor_actors.adapters.redis_letters import Original, RedisLetters
from conductor_actors.adapters.tenants import event_tenant
from conductor_actors.domain.events import DECODERS, decode
from conductor_actors.domain.names import prefixed
from conductor_actors.errors import InvalidEvent
from conductor_actors.ports import DeadLetter

SESSION: Final = "session:"
ROW: Final = "row:"


class Lost(NamedTuple):
    """There is nothing to send again, and why."""

    why: str


def find_original(
    letters: RedisLetters, letter: DeadLetter, max_event_bytes: int
) -> Original | Lost:
    """Find the entry that a letter is about, by its stream or by what a session made of it."""
    if letter.source.startswith(ROW):
        return Lost(
            "a row that the database refused; when it would take it, score its events again: "
            f"python -m conductor_actors replay redis://… --to {letter.entry_id.partition('-')[0]}"
        )
    if ENTRY_ID.fullmatch(letter.entry_id) is None:
        return Lost(f"{letter.entry_id!r} is no id of a stream entry")
    if letter.source.startswith(SESSION):
        return _of_session(letters, letter, max_event_bytes)
    if event_tenant(letter.source) is None:
        return Lost(f"{letter.source!r} is no stream of events")
    for original in letters.originals(letter.source, letter.entry_id, letter.entry_id):
        if original.entry[3].startswith(letter.body):
            return original
    return Lost(
        f"gone: {letter.source} has no such entry {letter.entry_id}; "
        "it was trimmed, or came by pub/sub"
    )


def _of_session(letters: RedisLetters, letter: DeadLetter, max_event_bytes: int) -> Original | Lost:
    tenant, _, session_id = letter.source.removeprefix(SESSION).partition("/")
    at_ms = int(letter.entry_id.partition("-")[0])
    for original, bare_name in _at(letters, tenant, at_ms):
        try:
            decoded = decode(DECODERS[bare_name], original.entry[3], at_ms, max_event_bytes)
        except InvalidEvent:
            continue
        if decoded is None or decoded[0] != session_id:
            continue
        if letter_body(decoded[1])[:BODY_BYTES] == letter.body:
            return original
    return Lost(
        f"gone: no stream of {tenant!r} has this event at {at_ms}; "
        "it was trimmed, came by pub/sub, or was no event but a tick"
    )


def _at(letters: RedisLetters, tenant: str, at_ms: int) -> Iterator[tuple[Original, str]]:
    """Give a tenant's entries of one millisecond."""
    for bare_name in DECODERS:
        for original in letters.originals(prefixed(tenant, bare_name), str(at_ms), str(at_ms)):
            yield original, bare_name
