"""`dead-letters`: look at what could not be handled, and send it once more.

A letter keeps the first 256 bytes of a body, so what is sent is the original, from its stream.
Sources, reasons and bodies are other people's text: nothing of them is printed as it is.
"""

import json
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from conductor_actors.actors.session_supervisor import letter_body
from conductor_actors.adapters.recordings.event_file import ENTRY_ID
from conductor_actors.adapters.redis.dead_letter_stream import DeadLetterStream, Kept, Original
from conductor_actors.adapters.redis.event_names import event_tenant
from conductor_actors.adapters.redis.score_feed import BODY_BYTES
from conductor_actors.commands.terminal import printable
from conductor_actors.domain.events import DECODERS, decode
from conductor_actors.domain.identity import SessionKey, prefixed
from conductor_actors.errors import ConfigError, InvalidEvent
from conductor_actors.instants import to_iso
from conductor_actors.ports import DeadLetter

BEGINNING: Final = 60  # characters of a body in a list
HEX_BYTES: Final = 16  # a line


class Wanted(NamedTuple):
    """Which letters: of one reason, of sources that begin so; empty: all."""

    reason: str = ""
    source: str = ""

    def of(self, letters: Iterable[Kept]) -> Iterator[Kept]:
        """Leave out the others."""
        for kept in letters:
            is_reason = self.reason in ("", kept.letter.reason)
            if is_reason and kept.letter.source.startswith(self.source):
                yield kept


def print_list(letters: DeadLetterStream, wanted: Wanted, limit: int, *, as_json: bool) -> None:
    """Print letters, the newest first: a table on a terminal, else a line each."""
    found = list(islice(wanted.of(letters.newest_first()), limit))
    if as_json:
        for kept in found:
            _print(json.dumps(_document(kept)).replace("\x7f", "\\u007f"))
    elif not found:
        sys.stderr.write("no dead letters\n")
    elif sys.stdout.isatty():
        Console().print(_table(found))
    else:
        for kept in found:
            _print("\t".join(_cells(kept)))


def print_one(letters: DeadLetterStream, letter_id: str) -> None:
    """Print all that is kept of a letter."""
    [kept] = chosen(letters, [letter_id])
    letter = kept.letter
    for name, text in zip(("id", "time", "source", "entry", "reason"), _cells(kept), strict=False):
        _print(f"{name:7} {text}")
    is_cut = len(letter.body) >= BODY_BYTES
    _print(f"body    {f'the first {BODY_BYTES}' if is_cut else len(letter.body)} bytes:")
    for line in _shown(letter.body):
        _print(f"  {line}")


def retry(letters: DeadLetterStream, chosen: Iterable[Kept], max_event_bytes: int) -> int:
    """Send the originals of letters again, and remove the letters; return how many stay."""
    sent = left = 0
    for kept in chosen:
        original = find_original(letters, kept.letter, max_event_bytes)
        if isinstance(original, Lost):
            left += 1
            sys.stderr.write(f"{kept.id}: {printable(original.why)}\n")
        else:
            new_id = letters.send_again(original, kept.id)
            sent += 1
            _print(f"{kept.id}: sent again to {original.entry[2]} as {new_id}, a new event now")
    _print(f"{sent} sent again, {left} left")
    return left


def chosen(letters: DeadLetterStream, ids: Sequence[str]) -> list[Kept]:
    """Return the letters with these ids, each once; raise `ConfigError` unless all exist."""
    for letter_id in ids:
        if ENTRY_ID.fullmatch(letter_id) is None:
            raise ConfigError(f"{letter_id!r} is no id of a dead letter, e.g. 1767528000000-0")
    found = {letter_id: letters.find(letter_id) for letter_id in ids}
    missing = [letter_id for letter_id, kept in found.items() if kept is None]
    if missing:
        raise ConfigError(f"there is no dead letter {', '.join(missing)}")
    return [kept for kept in found.values() if kept is not None]


def _cells(kept: Kept) -> list[str]:
    letter = kept.letter
    texts = (letter.source, letter.entry_id, letter.reason, _text(letter.body)[:BEGINNING])
    return [kept.id, _time(kept.id), *map(printable, texts)]


def _table(found: Iterable[Kept]) -> Table:
    table = Table(box=None, header_style="")
    table.add_column("id", no_wrap=True)
    for name in ("time", "source", "entry", "reason", "body begins"):
        table.add_column(name, overflow="fold")
    for kept in found:
        table.add_row(*map(Text, _cells(kept)))
    return table


def _document(kept: Kept) -> dict[str, str]:
    source, entry_id, reason, body = kept.letter
    return {
        "id": kept.id,
        "time": _time(kept.id),
        "source": source,
        "entry_id": entry_id,
        "reason": reason,
        "body": _text(body),
    }


def _shown(body: bytes) -> Iterator[str]:
    """Show a body as text, or else as hexadecimal."""
    is_whole = len(body) < BODY_BYTES  # else it may end in the middle of a character
    try:
        text = getincrementaldecoder("utf-8")().decode(body, is_whole)
    except UnicodeDecodeError:
        for start in range(0, len(body), HEX_BYTES):
            yield f"{start:04x}  {body[start : start + HEX_BYTES].hex(' ')}"
    else:
        yield from map(printable, text.splitlines())


def _text(body: bytes) -> str:
    return body.decode("utf-8", "backslashreplace")


def _time(entry_id: str) -> str:
    try:
        return to_iso(int(entry_id.partition("-")[0]), "seconds")
    except (ValueError, OverflowError):  # not an id that Redis chose: it has no date
        return "?"


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


SESSION: Final = "session:"
ROW: Final = "row:"


class Lost(NamedTuple):
    """There is nothing to send again, and why."""

    why: str


def find_original(
    letters: DeadLetterStream, letter: DeadLetter, max_event_bytes: int
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


def _of_session(
    letters: DeadLetterStream, letter: DeadLetter, max_event_bytes: int
) -> Original | Lost:
    tenant, session_id = SessionKey.parse(letter.source.removeprefix(SESSION))
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


def _at(letters: DeadLetterStream, tenant: str, at_ms: int) -> Iterator[tuple[Original, str]]:
    """Return a tenant's entries of one millisecond."""
    for bare_name in DECODERS:
        for original in letters.originals(prefixed(tenant, bare_name), str(at_ms), str(at_ms)):
            yield original, bare_name
