"""What is wrong with URLs of Redis and of the database alike, and how to keep passwords unseen."""

import re
from typing import Final

_SEPARATORS: Final = frozenset(";=")
_CREDENTIALS: Final = re.compile(r":.*@", re.DOTALL)


def has_stray_at(url: str, *, ends_at: str) -> bool:
    """Return whether an `@` stands behind host and port, which end at one of these characters.

    Then a password probably holds such a character unescaped: what comes before it would be taken
    for host and port, and error messages would show it.
    """
    _, separator, rest = url.partition("://")
    return bool(separator) and "@" in rest[len(re.split(f"[{ends_at}]", rest)[0]) :]


def is_name(text: str) -> bool:
    """Return whether this can be a host, a user or a database.

    What else would separate options, as in `h;password=…`, would be shown by error messages.
    """
    return _SEPARATORS.isdisjoint(text)


def without_password(text: str) -> str:
    """Return a text to show, such as a file's name, which may be a URL by mistake."""
    return _CREDENTIALS.sub(":***@", text)
