"""Rows written to several files, one of which may be stdout."""

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import pytest

from conductor_actors.commands.output_files import OutputFile, OutputFiles
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError
from tests.support.score_rows import row


class SessionIds:
    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, rows: Sequence[ScoreRow]) -> None:
        self._file.writelines(f"{row.session_id}\n" for row in rows)
        self._file.flush()


class Closed(SessionIds):
    def write(self, rows: Sequence[ScoreRow]) -> None:
        del rows
        raise BrokenPipeError


def test_each_file_gets_every_row(tmp_path: Path) -> None:
    files = [OutputFile("--csv", str(tmp_path / name), SessionIds) for name in "ab"]
    OutputFiles(files).write([row("x"), row("y")])
    for file in files:
        file.close()
    assert [(tmp_path / name).read_text() for name in "ab"] == ["x\ny\n"] * 2


def test_a_file_whose_reader_has_closed_it_does_not_stop_another(tmp_path: Path) -> None:
    closed = OutputFile("--csv", str(tmp_path / "closed"), Closed)
    file = OutputFile("--anomalies", str(tmp_path / "file"), SessionIds)
    for _ in range(2):
        OutputFiles([closed, file]).write([row("x")])
    assert (tmp_path / "file").read_text() == "x\nx\n"
    with pytest.raises(BrokenPipeError):
        OutputFiles([closed]).write([row("x")])
    for each in (closed, file):
        each.close()


def test_an_error_names_the_option_of_its_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--csv /no/such: No such file"):
        OutputFile("--csv", "/no/such", SessionIds)
    full = OutputFile("--anomalies", "/dev/full", SessionIds)
    file = OutputFile("--csv", str(tmp_path / "file"), SessionIds)
    with pytest.raises(ConfigError, match=r"--anomalies /dev/full: No space left"):
        OutputFiles([file, full]).write([row("x")])
    file.close()
    with pytest.raises(ConfigError, match=r"--anomalies /dev/full: No space left"):
        full.close()
