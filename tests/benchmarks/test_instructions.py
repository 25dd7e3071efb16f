import json
import subprocess
import sys

import pytest

from tests.benchmarks import instructions
from tests.benchmarks.instructions import compare, figures, report
from tests.benchmarks.scripted_redis import scripted_redis


def test_the_counted_process_has_every_section_that_figures_need() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.counted"]
    with scripted_redis() as url:
        done = subprocess.run([*command, url], stdout=subprocess.PIPE, check=True, timeout=100)
    recorded = json.loads(instructions.FIGURES.read_text())
    measured = figures(dict.fromkeys(json.loads(done.stdout), 1.0))
    for version in recorded.values():
        assert measured.keys() == version.keys()


def test_a_figure_may_grow_by_a_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(compare({"an event": 110}, {"an event": 100})) == 0
    assert report(compare({"an event": 111}, {"an event": 100})) == 1
    assert "an event: 1.11 x" in capsys.readouterr().out


def test_a_figure_that_is_not_recorded_is_not_passed_over(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert report(compare({"an event": 110}, {})) == 1
    assert "--record" in capsys.readouterr().out


def test_figures_that_got_better_can_be_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(compare({"an event": 60}, {"an event": 100})) == 0
    assert "--record" in capsys.readouterr().out


def test_without_valgrind_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert instructions.main(is_recording=False) == 2
    assert "apt-get install valgrind" in capsys.readouterr().err
