"""The one check that URLs of Redis and of the database share: where the password ends."""

import re
from typing import Final

_AFTER_AUTHORITY: Final = re.compile(r"[a-z+]*://[^/?#]*[/?#].*@", re.IGNORECASE | re.DOTALL)


def has_stray_at(url: str) -> bool:
    """Return whether an `@` stands behind the host and port of a URL.

    There a password probably holds an unescaped `/`, `?` or `#`: what comes before would be taken
    for host and port, and error messages would show it.
    """
    return _AFTER_AUTHORITY.match(url) is not None
