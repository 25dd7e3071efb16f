"""The dead-letter stream, and the streams that its letters came from."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from redis.exceptions import NoPermissionError

from conductor_actors.adapters.redis.client import mapped_errors, open_client, pipeline
from conductor_actors.adapters.redis.key_names import DEAD_LETTERS_KEY
from conductor_actors.adapters.redis.streams import entries_of
from conductor_actors.domain.intake import Entry
from conductor_actors.errors import ConfigError
from conductor_actors.ports import DeadLetter

PAGE: Final = 500

GRANTS: Final = (
    "~conductor:dead-letters ~sync-events ~platform.events.* ~*:sync-events ~*:platform.events.* "
    "+xrange +xrevrange +xadd +xdel +multi +exec"
)


class StoredLetter(NamedTuple):
    """A dead letter and its own id."""

    id: str
    letter: DeadLetter


class Original(NamedTuple):
    """A stream's entry as it is there, with all of its fields."""

    entry: Entry
    fields: Sequence[bytes]


class DeadLetterStream:
    """Reads dead letters, and adds the entries that they came from to their streams again."""

    def __init__(self, url: str) -> None:
        self._client = open_client(url)

    def newest_first(self) -> Iterator[StoredLetter]:
        """Return all letters, page by page, so there may be any number."""
        return self._pages("XREVRANGE", "+", "-")

    def oldest_first(self) -> Iterator[StoredLetter]:
        """Return the letters that exist now, without those that are added meanwhile."""
        newest = next(self.newest_first(), None)
        return self._pages("XRANGE", "-", newest.id) if newest else iter(())

    def find(self, letter_id: str) -> StoredLetter | None:
        """Return one letter, if it exists."""
        return next(self._pages("XRANGE", letter_id, letter_id), None)

    def originals(self, name: str, first: str, last: str) -> Iterator[Original]:
        """Return a stream's entries from one id to another, both included."""
        for raw in self._entries("XRANGE", name, first, last):
            [entry] = entries_of(name, [raw])
            yield Original(entry, raw[1])

    def send_again(self, original: Original, letter_id: str) -> str:
        """Add an entry to its stream anew and remove the letter, both or nothing; return its id."""
        with _mapped_errors(), self._client.pipeline(transaction=True) as both:
            both.execute_command("XADD", original.entry[2], "*", *original.fields)  # type: ignore[no-untyped-call]
            both.xdel(DEAD_LETTERS_KEY, letter_id)
            new_id: bytes = both.execute()[0]
        return new_id.decode()

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _pages(self, command: str, first: str, last: str) -> Iterator[StoredLetter]:
        for entry_id, fields in self._entries(command, DEAD_LETTERS_KEY, first, last):
            yield StoredLetter(entry_id.decode(), _letter(fields))

    def _entries(self, command: str, name: str, first: str, last: str) -> Iterator[Any]:
        while True:
            with _mapped_errors():
                [found] = pipeline(self._client, [(command, name, first, last, "COUNT", PAGE)])
            yield from found
            if len(found) < PAGE:
                return
            first = f"({found[-1][0].decode()}"


@contextmanager
def _mapped_errors() -> Iterator[None]:
    """Turn redis-py's errors into ours; the service's user need not be able to do all this."""
    with mapped_errors():
        try:
            yield
        except NoPermissionError as error:
            raise ConfigError(
                f"REDIS_URL: {error}; dead letters need a Redis user with: {GRANTS}"
            ) from None


def _letter(fields: Sequence[bytes]) -> DeadLetter:
    """Read a letter; what is no letter of ours has none of its fields."""
    found = dict(zip(fields[::2], fields[1::2], strict=False))
    source, entry_id, reason = (
        found.get(key, b"").decode("utf-8", "replace")
        for key in (b"source", b"entry_id", b"reason")
    )
    return DeadLetter(source, entry_id, reason, found.get(b"body", b""))
