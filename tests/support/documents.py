"""The documents for people, and the examples in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.processes import ROOT

README: Final = ROOT / "README.md"
OPERATIONS: Final = ROOT / "deploy" / "OPERATIONS.md"
CLIENT: Final = ROOT / "conductor_actors" / "dashboard" / "static" / "README.md"
BENCHMARKS: Final = ROOT / "tests" / "benchmarks" / "README.md"

_FENCE: Final = "```"


class Example(NamedTuple):
    """A fenced block; `output` is the block without a language that follows it."""

    section: str
    language: str
    text: str
    output: str = ""

    def __str__(self) -> str:
        return f"{self.section}: {self.text.splitlines()[0]}"


def examples(document: Path, language: str = "") -> list[Example]:
    """Return the fenced blocks of a document, or those in one language."""
    found = list(_examples(document.read_text(encoding="utf-8")))
    return [each for each in found if language in ("", each.language)]


def _examples(text: str) -> Iterator[Example]:
    section, last = "", None
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("#"):
            section = line.lstrip("# ")
        if not line.startswith(_FENCE):
            continue
        language, block = line.removeprefix(_FENCE), list(iter(lines.__next__, _FENCE))
        example = Example(section, language, "\n".join(block))
        if language or last is None:
            if last is not None:
                yield last
            last = example
        else:
            yield last._replace(output=example.text)
            last = None
    if last is not None:
        yield last


def prose(document: Path) -> str:
    """Return a document without its fenced blocks."""
    text = document.read_text(encoding="utf-8")
    return re.sub(rf"^{_FENCE}.*?^{_FENCE}$", "", text, flags=re.MULTILINE | re.DOTALL)
