"""A log that nobody reads stops neither the scoring nor the end of the service."""

import os
import signal
from contextlib import suppress

import psycopg

from tests.e2e.deployment import Deployment
from tests.support.processes import Process, start
from tests.support.terminal import terminal
from tests.support.waiting import wait_until

WITHIN_S = 30.0
XOFF = "\x13"  # Ctrl-S


def stored_rows(deployment: Deployment) -> int:
    with psycopg.connect(deployment.settings["DATABASE_URL"]) as connection:
        if connection.execute("SELECT to_regclass('engagement_metrics')").fetchone() == (None,):
            return 0
        [rows] = connection.execute("SELECT count(*) FROM engagement_metrics").fetchone() or (0,)
    return int(rows)


def full_pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"\n" * 4096)
    os.set_blocking(writing, True)
    return reading, writing


def assert_scores_and_drains(deployment: Deployment, process: Process) -> None:
    deployment.add_reaction()
    wait_until(lambda: stored_rows(deployment) >= 5, WITHIN_S)
    assert deployment.client.exists("conductor:owner")
    process.send_signal(signal.SIGTERM)
    assert process.wait(WITHIN_S) == 0
    assert not deployment.client.exists("conductor:owner")
    deployment.assert_rows_are_those_of_a_replay()


def test_a_full_pipe_stops_neither_the_scoring_nor_the_drain(deployment: Deployment) -> None:
    reading, writing = full_pipe()
    null = os.open(os.devnull, os.O_RDONLY)
    process = start((), deployment.cwd, deployment.settings, (null, writing, writing))
    try:
        assert_scores_and_drains(deployment, process)
    finally:
        process.send_signal(signal.SIGKILL)
        for each in (reading, writing, null):
            os.close(each)


def test_ctrl_s_stops_neither_the_scoring_nor_the_drain(deployment: Deployment) -> None:
    with terminal(cwd=deployment.cwd, variables=deployment.settings) as shown:
        shown.press(XOFF)
        assert_scores_and_drains(deployment, shown.process)
