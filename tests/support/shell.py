"""A shell that runs the examples of documents, with their placeholders replaced."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.support.processes import ROOT, environment

PACKAGES: Final = {"jq": "jq", "redis-cli": "redis-tools", "curl": "curl"}  # Debian's
TIMEOUT_S: Final = 60.0
_END: Final = "\x1e"  # ends the output of a command


class CommandOutput(NamedTuple):
    command: str
    stdout: str


class Shell:
    """Run blocks of commands in a folder, each block in a shell of its own."""

    def __init__(self, folder: Path, variables: Mapping[str, str], *programs: Path) -> None:
        self._folder = folder
        self._programs = folder / "bin"
        self._programs.mkdir()
        folders = [self._programs, Path(sys.executable).parent, *programs]
        path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
        self._variables = environment({"PATH": path, **variables})
        self.prelude = ""
        self.replacements: dict[str, str] = {}

    def replace_program(self, name: str, *command: str) -> None:
        """Run this command instead of a program."""
        path = self._programs / name
        path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
        path.chmod(0o755)

    def run(self, block: str) -> list[CommandOutput]:
        """Run a block to its end, and return what each command has written to stdout."""
        commands = _commands(self.replaced(block))
        _require(commands)
        steps = [f"{command}\nprintf '{_END}'" for command in commands]
        lines = ["set -eo pipefail", "shopt -s expand_aliases", self.replaced(self.prelude), *steps]
        done = subprocess.run(
            ["bash", "-c", "\n".join(lines)],
            cwd=self._folder,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        outputs = done.stdout.split(_END)
        failed = dict(enumerate(commands)).get(len(outputs) - 1)
        assert done.returncode == 0, f"{failed}\n{outputs[-1]}\n{done.stderr}"
        return [CommandOutput(*each) for each in zip(commands, outputs, strict=False)]

    def replaced(self, text: str) -> str:
        """Return a text with the names replaced."""
        for name, value in self.replacements.items():
            text = text.replace(name, value)
        return text


def _commands(block: str) -> list[str]:
    """Split a block into its commands, each of which may have several lines."""
    commands, begun = list[str](), list[str]()
    for line in block.splitlines():
        begun.append(line)
        text = "\n".join(begun)
        if not line.endswith("\\") and _is_complete(text):
            commands.append(text)
            begun = []
    assert not begun, begun
    return [command for command in commands if command and not command.startswith("#")]


def _is_complete(text: str) -> bool:
    check = subprocess.run(["bash", "-n", "-c", text], capture_output=True, check=False)
    return check.returncode == 0


def _require(commands: Sequence[str]) -> None:
    """Skip the test where an optional program of the document is not installed."""
    text = "\n".join(commands)
    for program, package in PACKAGES.items():
        if program in text and shutil.which(program) is None:
            how = f"needs {program}: apt-get install {package}"
            if "CONDUCTOR_TEST_REQUIRE_ALL" in os.environ:
                pytest.fail(how)
            pytest.skip(how)


def link_files(folder: Path, *names: str) -> Path:
    """Return a folder that has these files of the repository, for commands that run there."""
    for name in names:
        (folder / name).symlink_to(ROOT / name)
    return folder
