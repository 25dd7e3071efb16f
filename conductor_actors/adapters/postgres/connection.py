"""Connect to PostgreSQL, with deadlines that hold and errors by who must act.

Nothing is kept in a session: behind PgBouncer in transaction mode, each transaction may run in
another session, which other programs use too. What a transaction needs, it sets for itself; the
text encoding is requested when connecting, which PgBouncer passes on to each session.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from math import ceil, inf
from time import monotonic
from typing import Final, TypeAlias, TypeVar

import psycopg
from psycopg import sql
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from conductor_actors.adapters.server_urls import has_stray_at, is_name
from conductor_actors.errors import ConfigError, Unavailable

T = TypeVar("T")
Statement: TypeAlias = tuple[sql.Composed, Sequence[object]]  # and its values

DATABASE_DEADLINE_S: Final = 10.0
APPLICATION_NAME: Final = "conductor-actors"  # as pg_stat_activity lists the service

_INVALID_DATABASE_URL: Final = (
    "DATABASE_URL can't be read; it looks like postgresql://user:password@host:5432/name, "
    "with @ : / % in the password written %40 %3A %2F %25"
)

_SHOWN_BY_ERRORS: Final = ("host", "user", "dbname", "port")

_NEEDED_GRANTS: Final = (
    "the user in DATABASE_URL needs SELECT, INSERT and DELETE on the tables, and UPDATE on "
    "anomalies, interventions, sessions and titles; to migrate, CREATE on the schema and the "
    "database"
)

# Classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html. 25006 is a
# primary that has become a standby: the next connection finds the new primary.
_TRANSIENT: Final = ("08", "25006", "40", "53", "55P03", "57", "58")
_ABOUT_ROWS: Final = ("22", "23")
_ADVICE: Final = (
    ("28", "correct the user or password in DATABASE_URL, or admit the user in pg_hba.conf"),
    ("3D000", "create the database, or correct its name in DATABASE_URL"),
    ("42501", _NEEDED_GRANTS),
    ("42P01", "run: python -m conductor_actors migrate"),
    ("42703", "run: python -m conductor_actors migrate"),
    ("options", "PgBouncer allows no options in DATABASE_URL: set them by ALTER ROLE instead"),
)

# A refused connection has no SQLSTATE: libpq returns only the text. An error in another language
# than English is therefore treated as an outage, and its text is shown.
_REFUSED_CONNECTIONS: Final = (
    ("28", re.compile(r"authentication failed|no password supplied|pg_hba\.conf")),
    ("28", re.compile(r'role ".*" (does not exist|is not permitted to log in)')),
    ("28", re.compile(r"no such user")),  # this and the next are PgBouncer's
    ("3D000", re.compile(r"no such database")),
    ("3D000", re.compile(r'database ".*" does not exist')),
    ("42501", re.compile(r"permission denied for database")),
    ("options", re.compile(r"unsupported startup parameter")),
)

# The server ends a statement at the deadline even if the client can't reach it any more.
_SET_TIMEOUT: Final = sql.SQL("SET LOCAL statement_timeout = {}")

# One message, so that it costs one round trip. Roles and databases may have other defaults than
# these, which round numbers and format times in ways that the driver can't read.
_BEGIN: Final = sql.SQL(
    "BEGIN; {}; SET LOCAL DateStyle = 'ISO'; SET LOCAL TimeZone = 'UTC';"
    " SET LOCAL extra_float_digits = 1"
)

_WAIT_INTERVAL_S: Final = 0.1  # the driver's
_MIN_WAIT_S: Final = 0.001  # 0 would poll without a pause


class StatementRefused(ConfigError):  # noqa: N818 - a fact, not a fault
    """The server refuses a statement; the connection can still be used."""

    def __init__(self, sqlstate: str, reason: str, advice: str) -> None:
        super().__init__(f"{reason}: {advice}")
        self.sqlstate = sqlstate
        self.reason = reason


class DatabaseConnection(psycopg.Connection[TupleRow]):
    """A connection whose waits for the server end at a deadline.

    The deadline is checked in the thread that waits. A timer on another thread would cost each
    transaction several milliseconds while other threads are busy.
    """

    expires_s = inf

    def wait(
        self,
        gen: PQGen[T],
        interval: float = _WAIT_INTERVAL_S,
        timeout: float | None = None,
    ) -> T:
        """Wait for the server, at most until the deadline."""
        if self.expires_s == inf:
            given = {} if timeout is None else {"timeout": timeout}  # new in psycopg 3.3
            return super().wait(gen, interval, **given)
        interval = min(interval, max(_MIN_WAIT_S, self._remaining_s()))
        return super().wait(self._end_at_deadline(gen), interval)

    def is_expired(self) -> bool:
        """Check whether the deadline has passed."""
        return self._remaining_s() < 0

    def _remaining_s(self) -> float:
        return self.expires_s - monotonic()

    def _end_at_deadline(self, steps: PQGen[T]) -> PQGen[T]:
        """Pass on the steps; the driver resumes them at least at each interval."""
        try:
            awaited = next(steps)
            while True:
                ready = yield awaited
                if self.is_expired():
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the deadline has passed")
                awaited = steps.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result


def connect(url: str, deadline_s: float = DATABASE_DEADLINE_S) -> DatabaseConnection:
    """Return a connection in autocommit mode.

    Connecting takes at most `DATABASE_DEADLINE_S` for each address of the host, even if statements
    may take longer. Raise `ConfigError` for what the operator must change, else `Unavailable`.
    """
    conninfo = conninfo_with_defaults(url, min(deadline_s, DATABASE_DEADLINE_S))
    try:
        return DatabaseConnection.connect(conninfo, autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise mapped_error(error) from None


@contextmanager
def deadline(connection: DatabaseConnection, deadline_s: float) -> Iterator[None]:
    """Raise `Unavailable` and close the connection if the block waits longer for the server.

    Other errors of the driver are raised as `mapped_error` returns them.
    """
    connection.expires_s = monotonic() + deadline_s
    try:
        yield
    except psycopg.Error as error:
        if connection.is_expired():
            raise Unavailable(f"the database did not answer within {deadline_s:g} s") from None
        raise mapped_error(error) from None
    finally:
        connection.expires_s = inf


@contextmanager
def transaction(connection: DatabaseConnection, deadline_s: float) -> Iterator[None]:
    """Run the block in one transaction, with a deadline for all of it.

    The server ends each statement at the deadline, too.
    """
    with deadline(connection, deadline_s):
        begin(connection, deadline_s)
        with _rolled_back_on_failure(connection):
            yield
        connection.commit()


def begin(connection: DatabaseConnection, deadline_s: float) -> None:
    """Begin a transaction with the settings that this service relies on."""
    connection.execute(_begin_statement(_timeout_ms(deadline_s)))


def execute_in_transaction(
    connection: DatabaseConnection,
    deadline_s: float,
    statements: Sequence[Statement],
    *endings: bytes,
) -> list[psycopg.Cursor[TupleRow]]:
    """Execute statements in a transaction with these endings; return the results of each.

    All is sent at once, and the replies are awaited once: after each wait, this thread waits again
    for the threads that are busy. Of the settings, only the deadline holds: pass values as binary.
    """
    with deadline(connection, deadline_s), _rolled_back_on_failure(connection):
        with _pipeline(connection):
            connection.execute(b"BEGIN")
            connection.execute(_timeout_statement(_timeout_ms(deadline_s)))
            cursors = [connection.execute(*statement) for statement in statements]
            for ending in endings:
                connection.execute(ending)
        return cursors


@contextmanager
def _pipeline(connection: DatabaseConnection) -> Iterator[None]:
    """Await the replies to the statements of the block together; raise the first error.

    The driver would log the errors that follow from it.
    """
    errors: list[psycopg.Error] = []
    try:
        with connection.pipeline():
            try:
                yield
            except psycopg.Error as error:
                errors.append(error)
    except psycopg.Error as error:
        errors.append(error)
    if errors:
        raise errors[0]


def _timeout_ms(deadline_s: float) -> int:
    return ceil(deadline_s * 1000)


@cache
def _timeout_statement(timeout_ms: int) -> bytes:
    return _SET_TIMEOUT.format(timeout_ms).as_bytes()


@cache
def _begin_statement(timeout_ms: int) -> bytes:
    return _BEGIN.format(_SET_TIMEOUT.format(timeout_ms)).as_bytes()


@contextmanager
def _rolled_back_on_failure(connection: DatabaseConnection) -> Iterator[None]:
    with ExitStack() as on_failure:
        on_failure.callback(_roll_back, connection)
        yield
        on_failure.pop_all()


def _roll_back(connection: DatabaseConnection) -> None:
    with suppress(psycopg.Error):  # the error that ended the block says more
        connection.rollback()


def primary_message(error: psycopg.Error) -> str:
    """Return the server's message on one line, without its details, which may quote a row."""
    text = error.diag.message_primary or str(error).partition("\n")[0]
    return " ".join(text.split()) or type(error).__name__


def conninfo_with_defaults(
    url: str, connect_timeout_s: float, application: str = APPLICATION_NAME
) -> str:
    """Return a connection string with our defaults, which the URL may override.

    The text encoding is always UTF-8: in any other, some text can't be sent. Raise `ConfigError`
    for a URL that libpq can't read, or would misread.
    """
    try:
        given = conninfo_to_dict(url)
    except (psycopg.ProgrammingError, UnicodeEncodeError):
        # The driver's text quotes what it could not read, which may be part of a password.
        raise ConfigError(_INVALID_DATABASE_URL) from None
    if has_stray_at(url, ends_at="/?") or _has_unescaped_password(given):
        raise ConfigError(_INVALID_DATABASE_URL)
    defaults = {
        "connect_timeout": str(ceil(connect_timeout_s)),
        "tcp_user_timeout": str(ceil(connect_timeout_s * 1000)),
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "3",
        "fallback_application_name": application,
    }
    return make_conninfo(
        **defaults
        | {key: str(value) for key, value in given.items() if value is not None}
        | {"client_encoding": "UTF8"}
    )


def _has_unescaped_password(given: dict[str, str | int | None]) -> bool:
    """Return whether libpq took a part of the password for something that errors show."""
    host, user, name, port = (str(given.get(key) or "") for key in _SHOWN_BY_ERRORS)
    are_names = all(map(is_name, (host, user, name)))
    return "@" in host + name or not are_names or not all(map(_is_port, _ports(port)))


def _ports(text: str) -> Iterable[str]:
    return filter(None, text.split(","))


def _is_port(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) < 1 << 16


def mapped_error(error: psycopg.Error) -> Exception:
    """Return the service's error for one of the driver's.

    An error about a row (classes 22 and 23) and an error of our own code are returned unchanged.
    """
    code = error.sqlstate or _refusal_code(error)
    message = primary_message(error)
    for prefix, advice in _ADVICE:
        if code.startswith(prefix):
            return StatementRefused(code, message, advice)
    if code.startswith(_TRANSIENT):
        return Unavailable(message)
    if error.sqlstate is None or code.startswith(_ABOUT_ROWS):
        return error
    advice = f"the database's log says more (SQLSTATE {code})"
    return StatementRefused(code, message, advice)


def _refusal_code(error: psycopg.Error) -> str:
    """Return the code of an error without SQLSTATE: 08, a lost connection, unless it is refused."""
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return ""
    text = str(error)
    return next((code for code, refusal in _REFUSED_CONNECTIONS if refusal.search(text)), "08")
