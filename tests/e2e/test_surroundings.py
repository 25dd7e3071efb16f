"""The program in unusual surroundings: one clear line, or none, and never a traceback."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.settings import Settings, variable_of
from tests.support.databases import migrated_database, temporary_database
from tests.support.processes import ROOT, command, environment
from tests.support.programs import QUICK, assert_refused, run_to_end, running
from tests.support.servers import temporary_state_dir
from tests.support.terminal import terminal

COLD = {"PYTHONPATH": str(ROOT)}  # the interpreter reads PYTHON… when it starts
ASCII = {**COLD, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
LETTERS = "conductor:dead-letters"


def test_a_misspelt_variable_is_a_warning_of_the_service_with_the_nearest_name(
    valkey_url: str, postgres_url: str, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("CONDUCTOR_RETENTION=90\n")
    misspelt = {"CONDUCTOR_HTP_PORT": "3003", "CONDUCTOR_DASHBOARD_SERVICE_HOST": "10.0.0.1"}
    with migrated_database(postgres_url) as url:
        urls = {"REDIS_URL": valkey_url, "DATABASE_URL": url}
        with running(cwd=tmp_path, **urls, **misspelt, **QUICK) as program:
            program.wait_for("service_started")
            program.press_ctrl_c()
            assert program.finish().exit_code == 0
        found = [(line["variable"], line["nearest"]) for line in program.all("variable_ignored")]
        assert found == [
            ("CONDUCTOR_HTP_PORT", "CONDUCTOR_HTTP_PORT"),
            ("CONDUCTOR_RETENTION", "CONDUCTOR_RETENTION_DAYS"),
        ]
        checked = run_to_end("check", cwd=tmp_path, **urls, **misspelt)
    assert checked.exit_code == 0
    assert checked.stderr.count("variable_ignored") == 2


def test_the_first_start_on_an_empty_database_logs_no_warning(
    valkey_url: str, postgres_url: str, tmp_path: Path
) -> None:
    with (
        temporary_database(postgres_url) as url,
        running(cwd=tmp_path, REDIS_URL=valkey_url, DATABASE_URL=url, **QUICK) as program,
    ):
        program.wait_for("service_stats")
        program.press_ctrl_c()
        assert program.finish().exit_code == 0
    levels = {line["level"] for line in program.lines}
    assert levels == {"info"}, program.lines


@pytest.mark.parametrize(
    "arguments",
    [
        ("dead-letters", "list"),
        ("dead-letters", "show", "1-1"),
        ("inspect", "--once"),
        ("check",),
        ("replay", "ä\udcff.jsonl", "--csv", "-"),
        ("inspect", "session", "ä\udcff"),
        ("inspect", "--follow", "\udcff/keynote"),
        ("inspect", "--tenant", "\udcff", "--json"),
        ("run", "--help"),
    ],
)
def test_a_command_prints_any_text_to_a_stdout_that_is_ascii(
    arguments: tuple[str, ...], redis_client: redis.Redis, valkey_url: str, tmp_path: Path
) -> None:
    add_letter(redis_client)
    urls = {"REDIS_URL": valkey_url, "DATABASE_URL": "postgresql://ü@127.0.0.1:1/ü"}
    try:
        done = run_to_end(*arguments, cwd=tmp_path, **urls, **ASCII)
    finally:
        redis_client.delete(LETTERS)
    assert "Traceback" not in done.stderr
    assert "UnicodeEncodeError" not in done.stderr
    assert done.exit_code in (0, 1, 2)
    if arguments[0] == "dead-letters":
        assert "ä" in done.stdout


def test_a_terminal_that_is_ascii_shows_other_characters_escaped(
    redis_client: redis.Redis, valkey_url: str, tmp_path: Path
) -> None:
    add_letter(redis_client)
    variables = {"REDIS_URL": valkey_url, **ASCII}
    try:
        with terminal("dead-letters", "list", cwd=tmp_path, variables=variables) as opened:
            assert "\\xe4" in opened.wait_for("not_json")
            assert opened.wait() == 0
    finally:
        redis_client.delete(LETTERS)


def test_the_demo_draws_plain_lines_on_a_dumb_terminal_and_prints_the_port_that_0_became(
    tmp_path: Path,
) -> None:
    with temporary_state_dir() as state_dir:
        variables = {"TERM": "dumb", "CONDUCTOR_STATE_DIR": str(state_dir), **QUICK}
        arguments = ("demo", "--sessions", "1")
        with terminal(*arguments, cwd=tmp_path, variables=variables) as opened:
            drawn = opened.wait_for("%")
            opened.press("\x03")
            assert opened.wait() == 0
    assert "\x1b" not in drawn
    [port] = re.findall(r"using port (\d+) for the dashboard", drawn)
    assert int(port) > 0


def test_logs_and_inspect_are_plain_on_a_dumb_terminal(valkey_url: str, tmp_path: Path) -> None:
    variables = {"TERM": "dumb", "REDIS_URL": valkey_url, "CONDUCTOR_HTP_PORT": "1"}
    with terminal("inspect", cwd=tmp_path, variables=variables) as opened:
        drawn = opened.wait_for("variable_ignored")
        assert opened.wait() == 0
    assert "\x1b" not in drawn


def test_with_a_closed_stdout_the_program_works_and_says_nothing(tmp_path: Path) -> None:
    line = " ".join([*command("--help"), ">&-"])
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=environment({}), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_windows_is_refused_in_one_line(tmp_path: Path) -> None:
    """The modules that Windows lacks can't be imported."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "for name in ('fcntl', 'termios', 'tty', 'resource', 'pwd', 'grp'):\n"
        "    sys.modules[name] = None\n"
        "sys.platform = 'win32'\n"
    )
    ended = run_to_end(cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert_refused(ended, "Windows is not supported")
    assert ended.stdout == ""
    assert sys.platform != "win32"


def test_the_service_runs_with_every_number_at_its_largest_value(
    valkey_url: str, postgres_url: str, tmp_path: Path
) -> None:
    largest = largest_values()
    assert len(largest) > 20
    with (
        migrated_database(postgres_url) as url,
        running(
            cwd=tmp_path,
            REDIS_URL=valkey_url,
            DATABASE_URL=url,
            **largest | {"CONDUCTOR_TICK_S": "1"},
        ) as program,
    ):
        program.wait_for("service_stats")
        program.press_ctrl_c()
        assert program.finish().exit_code == 0
    assert {line["level"] for line in program.lines} == {"info"}


def add_letter(client: redis.Redis) -> None:
    fields = ("source", "ä", "entry_id", "1-1", "reason", "not_json", "body", "é€😀")
    pipeline(client, [("XADD", LETTERS, "1-1", *fields)])


def largest_values() -> dict[str, str]:
    """Return the largest value of every number but ports and shards."""
    return {
        variable_of(name): str(bound.le)
        for name, field in Settings.model_fields.items()
        for bound in field.metadata
        if hasattr(bound, "le") and not name.endswith(("_port", "shards"))
    }
