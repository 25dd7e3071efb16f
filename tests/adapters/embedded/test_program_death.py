"""The servers of a program that is killed end, and keep their data."""

import os
import pwd
from pathlib import Path

import pytest

from tests.adapters.embedded.another_program import another_program, read_words, write_word
from tests.support.server_processes import ExitWatch, processes_on, servers_on

ENDS_WITHIN_S = 5.0

pytestmark = pytest.mark.e2e
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run it as another user")


@pytest.mark.parametrize("account", ["", pytest.param("nobody", marks=needs_root)])
def test_after_a_sigkill_both_servers_end_and_keep_their_data(
    account: str, state_dir: Path
) -> None:
    user = pwd.getpwnam(account) if account else None
    if user:
        for path in (state_dir.parent, state_dir, *state_dir.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)
    with another_program(state_dir, user) as (program, urls):
        write_word(urls, "survived")
        watch = ExitWatch(process.pid for process in processes_on(state_dir))
        program.kill()
        watch.wait(ENDS_WITHIN_S)
    assert processes_on(state_dir) == []
    assert read_words(state_dir) == ("survived", "survived")


def test_the_next_start_waits_for_servers_that_are_slow_to_end(state_dir: Path) -> None:
    with another_program(state_dir) as (program, urls):
        write_word(urls, "survived")
        servers = servers_on(state_dir)
        for server in servers:
            server.suspend()
        program.kill()
    assert read_words(state_dir) == ("survived", "survived")
    assert [server.is_running() for server in servers] == [False, False]
