"""Sections of a process under callgrind, each of which has its instructions counted."""

import os
from collections.abc import Callable


class Sections:
    """Their names, one for each file of counts; the files between sections have empty names.

    Callgrind begins a new file whenever the process calls `getppid`.
    """

    def __init__(self) -> None:
        self.names: list[str] = []

    def count(self, name: str, work: Callable[[], None]) -> None:
        """Do some work, and count its instructions under a name."""
        self._end_file("")
        work()
        self._end_file(name)

    def _end_file(self, name: str) -> None:
        os.getppid()
        self.names.append(name)
