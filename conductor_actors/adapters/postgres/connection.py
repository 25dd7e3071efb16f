"""How PostgreSQL is reached: connections, deadlines that hold, and errors by who must act."""

import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from math import ceil
from threading import Event, Timer
from typing import Final, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from conductor_actors.adapters.server_urls import has_stray_at, is_name
from conductor_actors.errors import ConfigError, Unavailable

Connection: TypeAlias = psycopg.Connection[TupleRow]

DEADLINE_S: Final = 10.0
APPLICATION: Final = "conductor-actors"  # as which the database lists us

_UNREADABLE: Final = (
    "DATABASE_URL can't be read; it looks like postgresql://user:password@host:5432/name, "
    "with @ : / % in the password written %40 %3A %2F %25"
)

_SHOWN_BY_ERRORS: Final = ("host", "user", "dbname", "port")

_GRANTS: Final = (
    "the user in DATABASE_URL needs SELECT, INSERT and DELETE on the tables and TEMPORARY on the "
    "database; to migrate, CREATE on the schema and the database"
)

# Classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html. 25006 is a
# primary that has become a standby: the next connection finds the new primary.
_PASSING: Final = ("08", "25006", "40", "53", "55P03", "57", "58")
_OF_ROWS: Final = ("22", "23")
_ADVICE: Final = (
    ("28", "correct the user or password in DATABASE_URL, or admit the user in pg_hba.conf"),
    ("3D000", "create the database, or correct its name in DATABASE_URL"),
    ("42501", _GRANTS),
    ("42P01", "run: python -m conductor_actors migrate"),
    ("42703", "run: python -m conductor_actors migrate"),
)

# A refused connection has no SQLSTATE: libpq keeps only the text. A server that speaks another
# language is therefore taken to be unavailable, and its text is shown.
_REFUSALS: Final = (
    ("28", re.compile(r"authentication failed|no password supplied|pg_hba\.conf")),
    ("28", re.compile(r'role ".*" (does not exist|is not permitted to log in)')),
    ("3D000", re.compile(r'database ".*" does not exist')),
    ("42501", re.compile(r"permission denied for database")),
)


def connect(url: str, deadline_s: float = DEADLINE_S) -> Connection:
    """Open a connection that commits each statement by itself and ends it at the deadline.

    Connecting takes `DEADLINE_S` at most, whatever statements may take, for each address of the
    host. Raise `ConfigError` for what the operator must set or grant, else `Unavailable`.
    """
    conninfo = readable_conninfo(url, min(deadline_s, DEADLINE_S))
    try:
        connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise mapped(error) from None
    with ExitStack() as on_failure:
        on_failure.callback(connection.close)
        # Not an option of the connection, because connection poolers refuse those.
        with deadline(connection, deadline_s):
            timeout_ms = str(ceil(deadline_s * 1000))
            connection.execute("SELECT set_config('statement_timeout', %s, false)", (timeout_ms,))
        on_failure.pop_all()
    return connection


@contextmanager
def deadline(connection: Connection, deadline_s: float) -> Iterator[None]:
    """Cut the connection when the block takes longer; raise our own errors for the driver's.

    Cutting the socket is the one thing that also ends the wait for a server that has stopped.
    Errors about single rows (classes 22 and 23) and our own bugs pass unchanged.
    """
    expired = Event()

    def cut() -> None:
        expired.set()
        with (
            suppress(psycopg.Error, OSError),
            socket.socket(fileno=os.dup(connection.fileno())) as line,
        ):
            line.shutdown(socket.SHUT_RDWR)

    watchdog = Timer(deadline_s, cut)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    except psycopg.Error as error:
        if expired.is_set():
            raise Unavailable(f"the database did not answer within {deadline_s:g} s") from None
        raise mapped(error) from None
    finally:
        watchdog.cancel()


@contextmanager
def transaction(connection: Connection, deadline_s: float) -> Iterator[None]:
    """Commit the block as a whole, or nothing of it; answered as `deadline`."""
    with deadline(connection, deadline_s), connection.transaction():
        yield


def one_line(error: psycopg.Error) -> str:
    """Return the server's message in one line, without its details, which may quote a row."""
    text = error.diag.message_primary or str(error).partition("\n")[0]
    return " ".join(text.split()) or type(error).__name__


def readable_conninfo(url: str, connect_within_s: float, application: str = APPLICATION) -> str:
    """Return the URL with our defaults; what it says itself goes before them.

    Raise `ConfigError` for one that libpq can't read, or would misread.
    """
    try:
        given = conninfo_to_dict(url)
    except (psycopg.ProgrammingError, UnicodeEncodeError):
        # The driver's text quotes what it could not read, which may be part of a password.
        raise ConfigError(_UNREADABLE) from None
    if has_stray_at(url, ends_at="/?") or _is_misread(given):
        raise ConfigError(_UNREADABLE)
    defaults = {
        "connect_timeout": str(ceil(connect_within_s)),
        "tcp_user_timeout": str(ceil(connect_within_s * 1000)),
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "3",
        "fallback_application_name": application,
    }
    return make_conninfo(
        **defaults | {key: str(value) for key, value in given.items() if value is not None}
    )


def _is_misread(given: dict[str, str | int | None]) -> bool:
    """Return whether an unescaped password was taken for something else, which errors show."""
    host, user, name, port = (str(given.get(key) or "") for key in _SHOWN_BY_ERRORS)
    are_names = all(map(is_name, (host, user, name)))
    return "@" in host + name or not are_names or not all(map(_is_port, _ports(port)))


def _ports(text: str) -> Iterable[str]:
    return filter(None, text.split(","))


def _is_port(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) < 1 << 16


def mapped(error: psycopg.Error) -> Exception:
    """Return our error for the driver's, or the same for an error about a row, or a bug of ours."""
    code = error.sqlstate or _refusal_code(error)
    line = one_line(error)
    for prefix, advice in _ADVICE:
        if code.startswith(prefix):
            return ConfigError(f"{line}: {advice}")
    if code.startswith(_PASSING):
        return Unavailable(line)
    if error.sqlstate is None or code.startswith(_OF_ROWS):
        return error
    return ConfigError(f"{line}: the database's log says more (SQLSTATE {code})")


def _refusal_code(error: psycopg.Error) -> str:
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return ""
    text = str(error)
    return next((code for code, refusal in _REFUSALS if refusal.search(text)), "08")
