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
from tests.support.server_processes import ExitWatch, as_user, processes_on, server_names_on
from tests.support.waiting import wait_until

BOTH = {"postgres", "valkey-server"}
ENDS_WITHIN_S = 5.0
STARTS_WITHIN_S = 60.0
MAX_STARTS = 20  # some commands run for a tenth of a second
HANGING_TEST = Path(__file__).with_name("hanging.py")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run it as another user")


def give_to(user: pwd.struct_passwd, directory: Path) -> None:
    for path in (directory, *directory.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)


def kill_and_wait(program: subprocess.Popen[bytes]) -> float:
    """Kill a program and nothing else; return after how long all that it started had ended."""
    descendants = psutil.Process(program.pid).children(recursive=True)
    watch = ExitWatch(process.pid for process in descendants)
    began_s = time.monotonic()
    program.kill()
    watch.wait(ENDS_WITHIN_S)
    return time.monotonic() - began_s


def kill_with_servers(
    arguments: Sequence[str], state_dir: Path, names: set[str], user: pwd.struct_passwd | None
) -> None:
    if user:
        give_to(user, state_dir.parent)
    for _ in range(MAX_STARTS):
        with start_program(arguments, state_dir, user) as program:
            wait_until(
                lambda: program.poll() is not None or has_servers(state_dir, names), STARTS_WITHIN_S
            )
            if program.poll() is None:  # else it was done before its servers were seen
                duration_s = kill_and_wait(program)
                print(
                    f"{arguments[0]} as {user.pw_name if user else 'this user'}: {duration_s:.2f} s"
                )
                assert processes_on(state_dir) == []
                return
    pytest.fail(f"ended {MAX_STARTS} times before its servers were seen")


def start_program(
    arguments: Sequence[str], state_dir: Path, user: pwd.struct_passwd | None
) -> subprocess.Popen[bytes]:
    variables = {"CONDUCTOR_STATE_DIR": str(state_dir), "HOME": str(state_dir)}
    return subprocess.Popen(
        [*(as_user(user) if user else ()), *command(*arguments)],
        cwd=state_dir.parent,
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def has_servers(state_dir: Path, names: set[str]) -> bool:
    return names <= set(server_names_on(state_dir))


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


@pytest.mark.parametrize("processes", ["0", "1"])
def test_the_servers_of_killed_tests_end_with_them(processes: str, empty_dir: Path) -> None:
    empty_dir.mkdir()
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
            *(f"--numprocesses={processes}", str(HANGING_TEST)),
        ],
        cwd=ROOT,
        env=environment({"TMPDIR": str(empty_dir)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as tests:
        wait_until((empty_dir / "urls").exists, STARTS_WITHIN_S)
        [state_dir] = empty_dir.glob("tmp*")
        assert set(server_names_on(state_dir)) >= BOTH
        kill_and_wait(tests)
