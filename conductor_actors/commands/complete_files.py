"""A file that has its name only once it is complete, so that no other is taken for it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from conductor_actors.errors import ConfigError


@contextmanager
def open_complete(name: str) -> Iterator[BinaryIO]:
    """Open a file to write to; `-` is stdout.

    Until the block has ended, the name of the file ends with `.part`; if it raises, the file is
    deleted. Pipes and devices are written to directly. Raise `ConfigError` if it can't be written,
    and `BrokenPipeError` if its reader is gone.
    """
    try:
        if name == "-":
            with open(sys.stdout.fileno(), "wb", closefd=False) as stdout:
                yield stdout
        elif Path(name).exists() and not Path(name).is_file():
            with Path(name).open("wb") as special:
                yield special
        else:
            yield from _renamed_at_end(Path(name))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(f"{name}: {error.strerror}") from None


def _renamed_at_end(path: Path) -> Iterator[BinaryIO]:
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
