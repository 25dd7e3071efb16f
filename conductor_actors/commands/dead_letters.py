"""The `dead-letters` command: list, show and retry events that could not be processed.

A dead letter has only the first 256 bytes of a body, so a retry sends the original from its stream.
Sources, reasons and bodies are untrusted text: control characters are escaped before printing.
"""

import json
import sys
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from conductor_actors.actors.session_supervisor import letter_body
from conductor_actors.adapters.redis.dead_letter_stream import (
    LETTER_BODY_BYTES,
    DeadLetterStream,
    Original,
    StoredLetter,
)
from conductor_actors.adapters.redis.events.entry_ids import is_entry_id
from conductor_actors.adapters.redis.events.event_names import event_tenant
from conductor_actors.app.startup import configure, open_servers
from conductor_actors.commands.terminal import print_stderr, printable
from conductor_actors.domain.events import DECODERS, decode
from conductor_actors.domain.identity import SessionKey, prefixed
from conductor_actors.errors import ConfigError, InvalidEvent
from conductor_actors.instants import to_iso
from conductor_actors.ports import ROW_SOURCE, SESSION_SOURCE, TITLE_SOURCE, DeadLetter
from conductor_actors.settings import Settings

BODY_PREVIEW_CHARS: Final = 60
HEX_LINE_BYTES: Final = 16

_HEADINGS: Final = ("id", "time", "source", "entry", "reason", "body")


class LetterFilter(NamedTuple):
    """Selects letters by reason and by the beginning of the source; an empty text matches all."""

    reason: str = ""
    source: str = ""

    def select(self, letters: Iterable[StoredLetter]) -> Iterator[StoredLetter]:
        """Return the letters that match."""
        for stored in letters:
            has_reason = self.reason in ("", stored.letter.reason)
            if has_reason and stored.letter.source.startswith(self.source):
                yield stored


@contextmanager
def open_letters() -> Iterator[tuple[DeadLetterStream, Settings]]:
    """Open the stream of dead letters; close it at the end of the block."""
    settings = configure(sys.stderr)
    with (
        open_servers(settings, database=False) as urls,
        closing(DeadLetterStream(urls.redis)) as letters,
    ):
        yield letters, settings


def print_list(
    letters: DeadLetterStream, letter_filter: LetterFilter, limit: int, *, as_json: bool
) -> None:
    """Print letters, newest first: as a table on a terminal, otherwise one line each."""
    found = list(islice(letter_filter.select(letters.newest_first()), limit))
    if as_json:
        for stored in found:
            _print(json.dumps(_document(stored)).replace("\x7f", "\\u007f"))
    elif not found:
        print_stderr("no dead letters")
    elif sys.stdout.isatty():
        Console().print(_table(found))
    else:
        for stored in found:
            _print("\t".join(_cells(stored)))


def print_one(letters: DeadLetterStream, letter_id: str) -> None:
    """Print a letter in full."""
    [stored] = find_letters(letters, [letter_id])
    body = stored.letter.body
    for name, text in zip(_HEADINGS[:-1], _cells(stored), strict=False):
        _print(f"{name:7} {text}")
    is_truncated = len(body) >= LETTER_BODY_BYTES
    size = f"first {LETTER_BODY_BYTES}" if is_truncated else len(body)
    _print(f"body    {size} bytes:")
    for line in _body_lines(body):
        _print(f"  {line}")


def retry_letters(ids: Sequence[str], reason: str) -> int:
    """Retry the letters with these ids, or all of a reason if there are none; print what stays.

    Return how many stay.
    """
    with open_letters() as (letters, settings):
        if ids:
            chosen: Iterable[StoredLetter] = find_letters(letters, ids)
        else:
            chosen = LetterFilter(reason).select(letters.oldest_first())
        return retry(letters, chosen, settings.max_event_bytes)


def retry(letters: DeadLetterStream, chosen: Iterable[StoredLetter], max_event_bytes: int) -> int:
    """Send the originals again and remove their letters; return how many letters remain."""
    sent = remaining = 0
    for stored in chosen:
        original = find_original(letters, stored.letter, max_event_bytes)
        if isinstance(original, NoOriginal):
            remaining += 1
            print_stderr(f"{stored.id}: {printable(original.reason)}")
        else:
            new_id = letters.retry(original, stored.id)
            sent += 1
            _print(f"{stored.id}: sent again to {original.entry[2]} as {new_id}")
    _print(f"{sent} sent again, {remaining} remaining")
    return remaining


def find_letters(letters: DeadLetterStream, ids: Sequence[str]) -> list[StoredLetter]:
    """Return the letters with these ids, each once; raise `ConfigError` if one does not exist."""
    for letter_id in ids:
        if not is_entry_id(letter_id):
            raise ConfigError(f"{letter_id!r} is not a dead letter id, e.g. 1767528000000-0")
    found = {letter_id: letters.find(letter_id) for letter_id in ids}
    missing = [letter_id for letter_id, stored in found.items() if stored is None]
    if missing:
        raise ConfigError(f"no such dead letter: {', '.join(missing)}")
    return [stored for stored in found.values() if stored is not None]


def _cells(stored: StoredLetter) -> list[str]:
    letter = stored.letter
    texts = (letter.source, letter.entry_id, letter.reason, _text(letter.body)[:BODY_PREVIEW_CHARS])
    return [stored.id, _time(stored.id), *map(printable, texts)]


def _table(found: Iterable[StoredLetter]) -> Table:
    table = Table(box=None, header_style="")
    table.add_column(_HEADINGS[0], no_wrap=True)
    for name in _HEADINGS[1:]:
        table.add_column(name, overflow="fold")
    for stored in found:
        table.add_row(*map(Text, _cells(stored)))
    return table


def _document(stored: StoredLetter) -> dict[str, str]:
    source, entry_id, reason, body = stored.letter
    return {
        "id": stored.id,
        "time": _time(stored.id),
        "source": source,
        "entry_id": entry_id,
        "reason": reason,
        "body": _text(body),
    }


def _body_lines(body: bytes) -> Iterator[str]:
    """Return a body as lines of text, or as a hexadecimal dump if it is not UTF-8."""
    is_complete = len(body) < LETTER_BODY_BYTES  # otherwise it may end inside a character
    try:
        text = getincrementaldecoder("utf-8")().decode(body, is_complete)
    except UnicodeDecodeError:
        for start in range(0, len(body), HEX_LINE_BYTES):
            yield f"{start:04x}  {body[start : start + HEX_LINE_BYTES].hex(' ')}"
    else:
        yield from map(printable, text.splitlines())


def _text(body: bytes) -> str:
    return body.decode("utf-8", "backslashreplace")


def _time(entry_id: str) -> str:
    try:
        return to_iso(int(entry_id.partition("-")[0]), "seconds")
    except (ValueError, OverflowError):  # an id that Redis did not generate may be no date
        return "?"


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


class NoOriginal(NamedTuple):
    """Why no original of a letter can be sent again."""

    reason: str


def find_original(
    letters: DeadLetterStream, letter: DeadLetter, max_event_bytes: int
) -> Original | NoOriginal:
    """Return the stream entry that a letter came from, found by its stream or by its session."""
    if (advice := _advice_on_refused(letter)) is not None:
        return NoOriginal(advice)
    if not is_entry_id(letter.entry_id):
        return NoOriginal(f"{letter.entry_id!r} is not a stream entry id")
    if letter.source.startswith(SESSION_SOURCE):
        return _find_by_session(letters, letter, max_event_bytes)
    if event_tenant(letter.source) is None:
        return NoOriginal(f"{letter.source!r} is not an event stream")
    for original in letters.originals(letter.source, letter.entry_id, letter.entry_id):
        if original.entry[3].startswith(letter.body):
            return original
    return NoOriginal(
        f"not found: {letter.source} has no entry {letter.entry_id}; "
        "it was trimmed, or was received by pub/sub"
    )


def _advice_on_refused(letter: DeadLetter) -> str | None:
    """Return what to do about what the database refused; None for other letters."""
    if letter.source.startswith(TITLE_SOURCE):
        return "the database refused this title: send another, or set it on the page"
    if letter.source.startswith(ROW_SOURCE):
        until = letter.entry_id.partition("-")[0]
        return (
            "the database refused this row; when it accepts it, score the events again: "
            f"python -m conductor_actors replay redis://… --to {until}"
        )
    return None


def _find_by_session(
    letters: DeadLetterStream, letter: DeadLetter, max_event_bytes: int
) -> Original | NoOriginal:
    tenant, session_id = SessionKey.parse(letter.source.removeprefix(SESSION_SOURCE))
    at_ms = int(letter.entry_id.partition("-")[0])
    for original, bare_name in _read_entries_at(letters, tenant, at_ms):
        try:
            decoded = decode(
                DECODERS[bare_name], original.entry[3], at_ms, max_event_bytes, Counter()
            )
        except InvalidEvent:
            continue
        if decoded is None or decoded[0] != session_id:
            continue
        if letter_body(decoded[1])[:LETTER_BODY_BYTES] == letter.body:
            return original
    return NoOriginal(
        f"not found: no stream of tenant {tenant} has this event at {at_ms}; "
        "it was trimmed, was received by pub/sub, was a tick, or its id was ahead of Redis' clock"
    )


def _read_entries_at(
    letters: DeadLetterStream, tenant: str, at_ms: int
) -> Iterator[tuple[Original, str]]:
    """Return a tenant's entries with this time, and their stream names without the tenant."""
    for bare_name in DECODERS:
        for original in letters.originals(prefixed(tenant, bare_name), str(at_ms), str(at_ms)):
            yield original, bare_name
