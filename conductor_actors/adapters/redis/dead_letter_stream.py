"""The dead-letter stream: the service adds to it, an operator reads it and retries from it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from redis.exceptions import NoPermissionError

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import Command, pipeline, transaction
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.events.raw_entries import entries_of
from conductor_actors.adapters.redis.key_names import DEAD_LETTERS_KEY
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.domain.entries import Entry
from conductor_actors.errors import ConfigError
from conductor_actors.ports import DeadLetter

MAX_DEAD_LETTERS: Final = 10_000
LETTER_BODY_BYTES: Final = 256
LETTERS_PER_PAGE: Final = 500

OPERATOR_GRANTS: Final = (
    "~conductor:dead-letters ~sync-events ~platform.events.* ~platform.sessions.* "
    "~*:sync-events ~*:platform.events.* ~*:platform.sessions.* "
    "~conductor:commands ~*:conductor:commands "
    "+xrange +xrevrange +xadd +xdel +multi +exec"
)


class RedisDeadLetterQueue:
    """A `DeadLetterQueue` that keeps the newest ten thousand letters.

    A process that is not the owner any more adds nothing: the new owner reads the same events.
    """

    def __init__(self, url: str, fence: Fence) -> None:
        self._client = open_client(url)
        self._fence = fence

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Add the letters, each with the first 256 bytes of its body.

        Raise `OwnershipLost` if another process is the owner.
        """
        with mapped_errors():
            self._fence.transaction(self._client, [_xadd(letter) for letter in letters])

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


class StoredLetter(NamedTuple):
    """A dead letter with its own entry id."""

    id: str
    letter: DeadLetter


class Original(NamedTuple):
    """The stream entry that a dead letter is about, with all of its fields."""

    entry: Entry
    fields: Sequence[bytes]


class DeadLetterStream:
    """Read dead letters, and retry the entries that they are about.

    Every call raises `Unavailable`, or `ConfigError` for what the operator must grant.
    """

    def __init__(self, url: str) -> None:
        self._client = open_client(url)

    def newest_first(self) -> Iterator[StoredLetter]:
        """Return all letters, read page by page."""
        return self._letters("XREVRANGE", "+", "-")

    def oldest_first(self) -> Iterator[StoredLetter]:
        """Return the letters that exist at the time of the call, read page by page."""
        newest = next(self.newest_first(), None)
        return self._letters("XRANGE", "-", newest.id) if newest else iter(())

    def find(self, letter_id: str) -> StoredLetter | None:
        """Return the letter with this id, if there is one."""
        return next(self._letters("XRANGE", letter_id, letter_id), None)

    def originals(self, name: str, first: str, last: str) -> Iterator[Original]:
        """Return a stream's entries from one id to another, both included."""
        for raw_entry in self._entries("XRANGE", name, first, last):
            [entry] = entries_of(name, [raw_entry])
            yield Original(entry, raw_entry[1])

    def retry(self, original: Original, letter_id: str) -> str:
        """Add an entry to its stream again and delete the letter, in one transaction.

        Return the id of the new entry.
        """
        added: Command = ("XADD", original.entry[2], "*", *original.fields)
        with _mapped_errors():
            new_id, _ = transaction(self._client, [added, ("XDEL", DEAD_LETTERS_KEY, letter_id)])
        return str(new_id, "ascii")

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _letters(self, command: str, first: str, last: str) -> Iterator[StoredLetter]:
        for entry_id, fields in self._entries(command, DEAD_LETTERS_KEY, first, last):
            yield StoredLetter(entry_id.decode(), _letter(fields))

    def _entries(self, command: str, name: str, first: str, last: str) -> Iterator[Any]:
        while True:
            page: Command = (command, name, first, last, "COUNT", LETTERS_PER_PAGE)
            with _mapped_errors():
                [entries] = pipeline(self._client, [page])
            yield from entries
            if len(entries) < LETTERS_PER_PAGE:
                return
            first = f"({entries[-1][0].decode()}"


@contextmanager
def _mapped_errors() -> Iterator[None]:
    """Raise the service's errors, with the grants of an operator, which the service lacks."""
    with mapped_errors():
        try:
            yield
        except NoPermissionError as error:
            raise ConfigError(
                f"REDIS_URL: {error}; dead letters need a Redis user with: {OPERATOR_GRANTS}"
            ) from None


def _xadd(letter: DeadLetter) -> Command:
    return (
        *("XADD", DEAD_LETTERS_KEY, "MAXLEN", "~", MAX_DEAD_LETTERS, "*"),
        *("source", letter.source, "entry_id", letter.entry_id),
        *("reason", letter.reason, "body", letter.body[:LETTER_BODY_BYTES]),
    )


def _letter(fields: Sequence[bytes]) -> DeadLetter:
    """Return the letter in an entry's fields; those that are missing are empty."""
    found = dict(zip(fields[::2], fields[1::2], strict=False))
    source, entry_id, reason = (
        found.get(key, b"").decode("utf-8", "replace")
        for key in (b"source", b"entry_id", b"reason")
    )
    return DeadLetter(source, entry_id, reason, found.get(b"body", b""))
