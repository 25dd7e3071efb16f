"""The files to which a replay writes, each named by an option. `-` is stdout."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TextIO

from conductor_actors.adapters.server_urls import without_password
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError


class RowWriter(Protocol):
    """Writes rows to a file."""

    def write(self, rows: Sequence[ScoreRow]) -> None:
        """Write rows."""


class OutputFile:
    """One file. What is written after the reader of stdout has closed it is dropped.

    Raise `ConfigError` with the option's name if the file can't be written.
    """

    def __init__(self, option: str, name: str, make_writer: Callable[[TextIO], RowWriter]) -> None:
        self.is_closed = False
        self._option = f"{option} {without_password(name)}"
        to_stdout = name == "-"
        target = sys.stdout.fileno() if to_stdout else name
        with self._errors_named():
            self._file = open(  # noqa: SIM115 - `close` closes it
                target, "w", encoding="utf-8", newline="", closefd=not to_stdout
            )
            self._writer = make_writer(self._file)

    def write(self, rows: Sequence[ScoreRow]) -> None:
        """Write rows."""
        if not self.is_closed:
            with self._errors_named():
                self._writer.write(rows)

    def close(self) -> None:
        """Write what is buffered, and close the file."""
        with self._errors_named():
            self._file.close()

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self.is_closed = True
        except OSError as error:
            raise ConfigError(f"{self._option}: {error.strerror}") from None


class OutputFiles:
    """Several files, each of which gets every row."""

    def __init__(self, files: Sequence[OutputFile]) -> None:
        self._files = files

    def write(self, rows: Sequence[ScoreRow]) -> None:
        """Write rows; raise `BrokenPipeError` if nobody reads any of the files."""
        for file in self._files:
            file.write(rows)
        if all(file.is_closed for file in self._files):
            raise BrokenPipeError
