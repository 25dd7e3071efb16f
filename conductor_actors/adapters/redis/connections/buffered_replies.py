"""Replies that were received already, many at once.

redis-py returns one reply at a time, for twice what it costs hiredis to parse it. What its parser
keeps between two of them is private: a test shows whether another version still has it.
"""

from itertools import islice
from typing import Any

from redis._parsers.hiredis import NOT_ENOUGH_DATA


def pop_buffered_replies(connection: Any, limit: int) -> list[Any]:  # noqa: ANN401 - redis-py's
    """Remove and return the replies that a connection has received, without waiting.

    Errors stand among them.
    """
    reader = connection._parser._reader  # noqa: SLF001
    return list(islice(iter(reader.gets, NOT_ENOUGH_DATA), limit))
