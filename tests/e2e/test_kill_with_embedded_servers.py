"""A SIGKILL of the program ends its embedded servers, whatever it was doing and whoever ran it."""

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.domain.test_contract import SAMPLE
from tests.support.processes import ROOT, command, environment
from tests.support.server_processes import as_user, processes_on, running_on

BOTH = {"postgres", "valkey-server"}
ENDS_WITHIN_S = 5.0
STARTS_WITHIN_S = 60.0
HANGING_TEST = """
def test_hangs(valkey_url, postgres_url):
    print("servers run", flush=True)
    input()
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run it as another user")


def give(user: pwd.struct_passwd, directory: Path) -> None:
    for path in (directory, *directory.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)


def wait_for_servers(state_dir: Path, names: set[str]) -> None:
    until_s = time.monotonic() + STARTS_WITHIN_S
    while not names <= set(running_on(state_dir)):
        assert time.monotonic() < until_s


def kill_and_wait(program: subprocess.Popen[str]) -> float:
    """Kill a program and nothing else; return after how long all that it started had ended."""
    started = psutil.Process(program.pid).children(recursive=True)
    began_s = time.monotonic()
    program.kill()
    assert psutil.wait_procs(started, ENDS_WITHIN_S)[1] == []
    return time.monotonic() - began_s


def kill_with_servers(
    arguments: Sequence[str], state_dir: Path, names: set[str], user: pwd.struct_passwd | None
) -> None:
    if user:
        give(user, state_dir.parent)
    variables = {"CONDUCTOR_STATE_DIR": str(state_dir), "HOME": str(state_dir)}
    with subprocess.Popen(
        [*(as_user(user) if user else ()), *command(*arguments)],
        cwd=state_dir.parent,
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as program:
        wait_for_servers(state_dir, names)
        duration_s = kill_and_wait(program)
    print(f"{arguments[0]} as {user.pw_name if user else 'this user'}: {duration_s:.2f} s")
    assert processes_on(state_dir) == []


@pytest.mark.parametrize("account", ["", pytest.param("nobody", marks=needs_root)])
@pytest.mark.parametrize("name", ["run", "demo"])
def test_the_servers_of_a_killed_service_end_with_it(
    name: str, account: str, state_dir: Path
) -> None:
    user = pwd.getpwnam(account) if account else None
    kill_with_servers([name], state_dir, BOTH, user)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["check"], BOTH),
        (["migrate"], {"postgres"}),
        (["replay", str(SAMPLE / "events.jsonl")], {"postgres"}),
    ],
)
def test_the_servers_of_another_killed_command_end_with_it(
    arguments: Sequence[str], names: set[str], state_dir: Path
) -> None:
    kill_with_servers(arguments, state_dir, names, None)


def test_a_database_that_a_killed_program_was_creating_is_given_up(empty_dir: Path) -> None:
    kill_with_servers(["migrate"], empty_dir, {"initdb"}, None)


def test_the_servers_of_killed_tests_end_with_them(empty_dir: Path) -> None:
    empty_dir.mkdir()
    (empty_dir / "test_hanging.py").write_text(HANGING_TEST)
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider"),
            *("-p", "tests.conftest", f"--rootdir={ROOT}", str(empty_dir)),
        ],
        cwd=ROOT,
        env=environment({"TMPDIR": str(empty_dir)}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as tests:
        assert any("servers run" in line for line in tests.stdout or ())
        assert {"postgres", "valkey-server"} <= set(running_on(next(empty_dir.glob("tmp*"))))
        kill_and_wait(tests)
