"""The files of `deploy/`, and the programs that check them."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"


def documents(path: Path) -> list[Any]:
    """Read every document of a YAML file."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def document(path: Path) -> Any:
    [only] = documents(path)
    return only


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def checked_by(program: str, *arguments: str, cwd: Path = ROOT) -> str:
    """Have a program check something, and give what it says.

    Skip where it is not installed and need not be.
    """
    found = shutil.which(program)
    if found is None:
        how = f"{program} is not installed: pip install -e '.[dev]', or as .ci/run does it"
        if "CONDUCTOR_TEST_REQUIRE_ALL" in os.environ:
            pytest.fail(how)
        pytest.skip(how)
    done = subprocess.run(
        [found, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said
