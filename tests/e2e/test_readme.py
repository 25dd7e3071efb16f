"""The commands of the README and of the benchmarks' page, run as they stand there."""

import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from conductor_actors.adapters.embedded.server_process import free_port
from tests.deploy.conftest import PSQL
from tests.support.databases import temporary_database
from tests.support.documents import BENCHMARKS, README, Example, examples, prose
from tests.support.processes import ROOT
from tests.support.programs import QUICK, Program, run_to_end, running
from tests.support.servers import temporary_state_dir
from tests.support.shell import Shell

DEMO, TESTS, SERVE, SEND = examples(README, "sh")
[MEASURE] = examples(BENCHMARKS, "sh")
PROGRAM: Final = ["python", "-m", "conductor_actors"]
SESSION: Final = "keynote"


def steps(example: Example) -> list[list[str]]:
    """Return the words of each command."""
    lines = example.text.replace("&&", "\n").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def assert_installs(words: list[str]) -> None:
    """Check that a command installs the package with extras that it has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pip, install, editable, what = words
    assert (pip, install, editable) == ("pip", "install", "-e")
    [extra] = re.findall(r"^\.\[(\w+)\]$", what)
    assert extra in project["optional-dependencies"]


def run_python(*words: str) -> str:
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_starts_and_ctrl_c_stops_it(tmp_path: Path) -> None:
    install, demo = steps(DEMO)
    assert_installs(install)
    assert demo[:3] == PROGRAM
    with temporary_state_dir(initialised=True) as state_dir:
        variables = QUICK | {"CONDUCTOR_STATE_DIR": str(state_dir)}
        with running(*demo[3:], cwd=tmp_path, **variables) as program:
            program.wait_for_text(8, deadline_s=60)
            program.press_ctrl_c()
            assert program.finish().exit_code == 0


def test_pytest_takes_the_options() -> None:
    install, [program, *options] = steps(TESTS)
    assert_installs(install)
    assert program == "pytest"
    assert "`pytest -m 'not e2e'`" in prose(README)
    options += ["-m", "not e2e", "--collect-only", "-qp", "no:cacheprovider"]
    assert "test_instants.py" in run_python("-m", "pytest", *options, "tests/test_instants.py")


@pytest.fixture
def served(valkey_url: str, postgres_url: str) -> Iterator[dict[str, str]]:
    """Return what stands for the addresses of the document."""
    with temporary_database(postgres_url) as url:
        yield {
            "redis://localhost:6379/0": valkey_url,
            "postgresql://conductor@localhost:5432/conductor": url,
            "localhost:3002": f"localhost:{free_port()}",
        }


def exported(served: dict[str, str]) -> dict[str, str]:
    """Return the variables that the commands export."""
    assignments = [words[1] for words in steps(SERVE) if words[0] == "export"]
    variables = dict(each.split("=", 1) for each in assignments)
    return {name: served[value] for name, value in variables.items()}


@pytest.mark.usefixtures("redis_client")  # which empties the server
def test_an_event_that_is_sent_has_a_score_after_the_next_tick(
    served: dict[str, str], tmp_path: Path
) -> None:
    *prepare, serve = (words[3:] for words in steps(SERVE) if words[:3] == PROGRAM)
    variables = exported(served)
    port = str(urlsplit(f"http://{served['localhost:3002']}").port)
    shell = Shell(tmp_path, variables, Path(PSQL).parent)
    shell.replacements = served
    for command in prepare:
        ended = run_to_end(*command, cwd=tmp_path, **variables)
        assert ended.exit_code == 0, ended
    settings = QUICK | variables | {"CONDUCTOR_HTTP_PORT": port}
    with running(*serve, cwd=tmp_path, **settings) as program:
        program.wait_for("service_started")
        send, *read = SEND.text.splitlines()
        shell.run(send)
        wait_for_two_ticks(program)
        for each in read:
            assert SESSION in shell.run(each)[0].stdout, each
        program.signal(signal.SIGTERM)
        assert program.finish().exit_code == 0


def wait_for_two_ticks(program: Program) -> None:
    """Wait until the dashboard has the session's update; it is published before the next tick."""
    for _ in range(2):
        program.wait_for("tick_completed", sessions=1)
    program.wait_for("batch_written")


@pytest.mark.parametrize("words", steps(MEASURE), ids=" ".join)
def test_each_command_of_the_benchmarks_takes_its_options(words: list[str]) -> None:
    if words[0] == "pip":
        assert_installs(words)
    else:
        assert words[0] == "python"
        run_python(*words[1:], "--help")
