"""A stop signal ends a command, wherever in the program it arrives."""

import subprocess
from typing import Final

import pytest

from tests.support.processes import PYTHON, ROOT

EXIT_CODE: Final = 7
PROGRAM: Final = f"""
import os, signal, time
from conductor_actors.app.signals import exit_on_stop_signals

class Interrupted:
    def __del__(self):
        os.kill(os.getpid(), signal.{{name}})
        time.sleep(0)  # Python handles the signal here, and ignores what the handler raises

exit_on_stop_signals({EXIT_CODE})
try:
    {{step}}
    time.sleep(30)
finally:
    print("closed", flush=True)
"""


def run(step: str, name: str) -> subprocess.CompletedProcess[str]:
    """Run the program, in which a finalizer sends the signal of that name."""
    program = [*PYTHON, "-c", PROGRAM.format(step=step, name=name)]
    return subprocess.run(
        program, check=False, cwd=ROOT, capture_output=True, text=True, timeout=20
    )


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(
    "step", ["Interrupted()", "os.kill(os.getpid(), signal.SIGTERM)"], ids=["finalizer", "code"]
)
def test_a_stop_signal_exits_after_closing_what_is_open_even_if_it_interrupts_a_finalizer(
    step: str, name: str
) -> None:
    ended = run(step, name)
    assert (ended.returncode, ended.stdout, ended.stderr) == (EXIT_CODE, "closed\n", "")


def test_other_errors_in_finalizers_are_shown() -> None:
    step = "type('Faulty', (), {'__del__': lambda self: 1 / 0})(); os.kill(os.getpid(), 15)"
    ended = run(step, "SIGTERM")
    assert ended.returncode == EXIT_CODE
    assert "ZeroDivisionError" in ended.stderr
