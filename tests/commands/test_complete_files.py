import os
from pathlib import Path
from threading import Thread
from typing import BinaryIO

import pytest

from conductor_actors.commands.complete_files import open_complete
from conductor_actors.errors import ConfigError


def test_a_file_has_its_name_once_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("old")
    with open_complete(str(path)) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
        assert (tmp_path / "rows.csv.part").read_text() == "new"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, BrokenPipeError])
def test_a_file_that_was_not_completed_is_deleted_and_the_old_one_stays(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("old")
    with pytest.raises(error), open_complete(str(path)) as file:
        _write_and_raise(file, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _write_and_raise(file: BinaryIO, error: type[BaseException]) -> None:
    file.write(b"new")
    raise error


def test_a_pipe_is_written_to_directly(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    with open_complete(str(path)) as file:
        file.write(b"rows")
    reader.join(10)
    assert read == [b"rows"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["no/such/folder", "", "."])
def test_a_file_that_can_not_be_written_is_named(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError), open_complete(name) as file:
        file.write(b"rows")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named() -> None:
    with (
        pytest.raises(ConfigError, match="/dev/full: No space left"),
        open_complete("/dev/full") as file,
    ):
        file.write(b"rows" * 100_000)
