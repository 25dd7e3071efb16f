"""Text that is safe to print, figures formatted for people, and keys from the terminal."""

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from rich.console import Console

from conductor_actors.errors import ConfigError

UNKNOWN: Final = "-"
STDERR: Final = Console(stderr=True)  # progress bars use it too and stay below printed lines


def set_encoding() -> None:
    """Make every text printable on stdout and stderr, whatever the locale.

    A file or pipe is UTF-8, as JSON and CSV are. A terminal keeps its encoding.
    """
    if sys.stdout is None:  # it was closed
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - stays open
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            encoding = stream.encoding if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def print_stderr(text: str) -> None:
    """Print a line on stderr, without markup."""
    STDERR.out(text, highlight=False)


def printable(text: str) -> str:
    """Return the text with every character escaped that is not printable, such as ESC.

    Print ids, names, errors and bodies of events through this: they are untrusted, and a control
    character can move the cursor or hide text.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def require_text(option: str, text: str | None) -> None:
    """Raise `ConfigError` if an option of the command line has bytes that are not UTF-8."""
    try:
        (text or "").encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{option}: {printable(text or '')} is not UTF-8 text") from None


def count(number: int | None) -> str:
    """Return a count as text."""
    return UNKNOWN if number is None else f"{number:,}"


def rate(per_s: float | None) -> str:
    """Return a rate per second as text."""
    if per_s is None:
        return UNKNOWN
    return f"{per_s:,.1f}" if abs(per_s) < 100 else f"{per_s:,.0f}"


def share(fraction: float | None) -> str:
    """Return a share as a percentage."""
    if fraction is None:
        return UNKNOWN
    return f"{fraction:.1%}" if 0 < fraction < 0.1 else f"{fraction:.0%}"


def duration(seconds: float | None) -> str:
    """Return a duration as text, in one unit from µs to s."""
    if seconds is None:
        return UNKNOWN
    if 0 < abs(seconds) < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if abs(seconds) < 100 else f"{seconds:,.0f} s"


def span(seconds: float | None) -> str:
    """Return a long duration as text, in two units from s to days."""
    if seconds is None:
        return UNKNOWN
    minutes, left_s = divmod(int(seconds), 60)
    hours, left_min = divmod(minutes, 60)
    days, left_h = divmod(hours, 24)
    if days:
        return f"{days:,} d {left_h} h"
    if hours:
        return f"{hours} h {left_min} min"
    return f"{minutes} min {left_s} s" if minutes else f"{left_s} s"


KEY_READ_BYTES: Final = 1024

_ESCAPE: Final = "\x1b"
_NAMED_KEYS: Final = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
}


def parse_keys(typed: bytes) -> list[str]:
    """Return the pressed keys: characters, or up, down, enter, escape, backspace."""
    text = typed.decode("utf-8", "ignore")
    keys = []
    while text:
        length = _first_key_chars(text)
        key = text[:length]
        text = text[length:]
        if key == _ESCAPE:
            keys.append("escape")
        elif key in _NAMED_KEYS:
            keys.append(_NAMED_KEYS[key])
        elif key.isprintable():
            keys.append(key)
    return keys


def _first_key_chars(text: str) -> int:
    """Return the length of the first key; an escape sequence ends with a letter or `~`."""
    if len(text) < 2 or text[0] != _ESCAPE or text[1] not in "[O":
        return 1
    for index, char in enumerate(text[2:], 2):
        if "@" <= char <= "~":
            return index + 1
    return len(text)


class Keyboard:
    """The keys of the terminal; none without a terminal."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def read(self, wait_s: float) -> Sequence[str]:
        """Return the keys that were pressed; wait up to `wait_s` for one."""
        descriptors = [] if self._descriptor is None else [self._descriptor]
        if not select.select(descriptors, [], [], wait_s)[0]:
            return ()
        typed = os.read(descriptors[0], KEY_READ_BYTES)
        if not typed:  # the terminal is gone
            self._descriptor = None
        return parse_keys(typed)


@contextmanager
def keyboard() -> Iterator[Keyboard]:
    """Open the terminal of this process; in the block each key is read at once, without echo."""
    try:
        descriptor = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:  # no controlling terminal
        yield Keyboard(None)
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield Keyboard(descriptor)
    finally:
        with suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        os.close(descriptor)
