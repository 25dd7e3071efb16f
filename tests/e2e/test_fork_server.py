"""A program that is forked does what one that is started cold does."""

import os
import signal
from pathlib import Path

import pytest

from tests.domain.test_contract import SAMPLE
from tests.support.processes import ROOT
from tests.support.programs import Completed, run_to_end, running

COLD = {"PYTHONPATH": str(ROOT)}
AWAY = {"REDIS_URL": "redis://127.0.0.1:1", "DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["--help"], {}),
        (["--no-such-option"], {}),
        (["run"], {"CONDUCTOR_TICK_S": "7"}),
        (["replay", str(SAMPLE / "events.jsonl"), "--csv", "-"], {}),
        (["replay", "été", "--csv", "/dev/full"], {"PYTHONWARNINGS": ""}),
        (["check"], AWAY),
    ],
)
def test_exit_code_and_output_are_the_same(
    arguments: list[str], variables: dict[str, str], tmp_path: Path
) -> None:
    forked, cold = (run_to_end(*arguments, cwd=tmp_path, **variables | how) for how in ({}, COLD))
    assert forked == cold


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_a_signal_has_the_same_effect(number: signal.Signals, tmp_path: Path) -> None:
    def ended(how: dict[str, str]) -> Completed:
        with running("collect", cwd=tmp_path, **AWAY | how) as program:
            program.wait_for("outage_began")
            program.signal(number)
            return program.finish()._replace(stdout="")

    assert ended({}) == ended(COLD)


def test_each_is_a_process_in_a_session_of_its_own(tmp_path: Path) -> None:
    with running("collect", cwd=tmp_path, **AWAY) as one, running(cwd=tmp_path, **AWAY) as other:
        assert one.pid != other.pid
        for program in (one, other):
            program.wait_for("outage_began")
            assert os.getsid(program.pid) == program.pid
