"""`inspect` on a running service, on a log, and in a terminal."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import redis

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.simulate import Simulation
from tests.commands.inspect.sample_lines import (
    actor,
    of_session,
    row,
    service,
    sessions,
    tenant_row,
    tenants,
)
from tests.support.databases import temporary_database
from tests.support.programs import QUICK, Completed, run_to_end, running
from tests.support.servers import client_of_valkey, temporary_state_dir
from tests.support.terminal import terminal

TENANTS = ("acme", "globex")
ACTORS = (
    "catalog",
    "checkpointer",
    "conductor",
    "courier",
    "introspection",
    "lease_keeper",
    "publisher",
    "router",
    "supervisor",
    "ticker",
    "title_writer",
    "writer",
)
LINES = (
    service(0, 60),
    actor("writer"),
    tenants(tenant_row("acme")),
    sessions(row(), row("acme/" + "long-" * 8 + "name")),
    of_session("actor_failed", error="KeyError('first')"),
)


def inspected(*arguments: str, cwd: Path, text: str = "") -> Completed:
    """Run it with this text on a pipe."""
    return run_to_end("inspect", *arguments, cwd=cwd, stdin=text)


def document(ended: Completed) -> Any:
    assert (ended.exit_code, ended.stderr) == (0, "")
    return json.loads(ended.stdout)


def send_events(client: redis.Redis) -> None:
    """Send the events of six sessions of two tenants within a minute."""
    simulation = Simulation(6, seed=1, tenants=TENANTS)
    with client.pipeline(transaction=False) as pipeline:
        for name, body in simulation.step(0, 60):
            pipeline.xadd(name, {"data": body})
        pipeline.execute()


def test_stream_pipe_and_file_give_the_same_report_on_a_running_service(
    valkey_url: str, postgres_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    variables = {"REDIS_URL": valkey_url, "CONDUCTOR_TENANTS": ",".join(TENANTS)}
    with temporary_database(postgres_url) as url:
        settings = QUICK | variables | {"DATABASE_URL": url}
        with running("collect", cwd=tmp_path, **settings) as program:
            program.wait_for("service_started")
            send_events(redis_client)
            program.wait_for("tenant_stats", count=2)
            live = document(run_to_end("inspect", "--once", "--json", cwd=tmp_path, **variables))
            program.signal(signal.SIGTERM)
            log = program.finish().stdout
    (tmp_path / "service.log").write_text("starting\n" + log)
    found = {
        "stream": document(run_to_end("inspect", "--json", cwd=tmp_path, **variables)),
        "pipe": document(inspected("-", "--once", "--json", cwd=tmp_path, text=log)),
        "piped in": document(inspected("--once", "--json", cwd=tmp_path, text=log)),
        "file": document(run_to_end("inspect", "service.log", "--json", cwd=tmp_path)),
    }
    assert [known["lines"].pop("ignored") for known in found.values()] == [0, 0, 0, 1]
    for known in found.values():
        known["silent_s"] = None
        known["lines"] = known["since"] = None  # the stream begins with the relay's lines
        assert known == found["stream"]
    assert live["service"]["phase"] == "running"
    assert found["stream"]["service"]["phase"] == "stopped"
    ended = [*found["stream"]["actors"], *found["stream"]["sessions"]]
    assert {one["state"] for one in ended} == {"stopped"}
    assert {one["kind"] for one in found["stream"]["actors"]} == {*ACTORS, "session"}
    assert (live["session_count"], live["tenant_count"]) == (6, 2)
    assert {one["tenant"] for one in live["sessions"]} == set(TENANTS)
    assert {one["kind"]: one["count"] for one in live["actors"]} == {
        "session": 6,
        **dict.fromkeys(ACTORS, 1),
    }
    assert live["flow"]["tick"]["sessions"] == 6
    assert live["flow"]["rows_per_s"] > 0
    assert live["flow"]["gaps"] == live["lines"]["dropped"] == 0


def test_without_a_log_stream_nothing_is_kept_in_redis(
    valkey_url: str, postgres_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    with temporary_database(postgres_url) as url:
        urls = {"REDIS_URL": valkey_url, "DATABASE_URL": url, "CONDUCTOR_LOG_STREAM": "false"}
        with running("collect", cwd=tmp_path, **QUICK, **urls) as program:
            program.wait_for("service_started")
            program.signal(signal.SIGTERM)
            assert program.finish().exit_code == 0
    assert redis_client.exists("conductor:log") == 0


def test_the_embedded_valkey_of_a_running_service_is_found_by_its_state_directory(
    tmp_path: Path,
) -> None:
    with temporary_state_dir(initialised=True) as folder:
        variables = {"CONDUCTOR_STATE_DIR": str(folder)}
        nothing = run_to_end("inspect", "--json", cwd=tmp_path, **variables)
        with running("collect", cwd=tmp_path, **QUICK, **variables) as program:
            with client_of_valkey(program) as client:
                program.wait_for("service_started", deadline_s=60)
                send_events(client)
            live = document(run_to_end("inspect", "--json", cwd=tmp_path, **variables))
    assert nothing.exit_code == 2
    assert "set REDIS_URL, or name a source" in nothing.stderr
    assert live["service"]["phase"] == "running"


@pytest.mark.parametrize(
    ("arguments", "variables", "exit_code", "part"),
    [
        (["missing.log"], {}, 2, "missing.log: No such file"),
        ([], {"REDIS_URL": "http://localhost"}, 2, "redis://user:password@host"),
        ([], {"REDIS_URL": f"redis://127.0.0.1:{free_port()}"}, 1, "refused"),
        ([f"redis://127.0.0.1:{free_port()}", "--json"], {}, 1, "refused"),
    ],
)
def test_a_source_that_can_not_be_read_is_reported_in_one_line(
    arguments: list[str], variables: dict[str, str], exit_code: int, part: str, tmp_path: Path
) -> None:
    ended = run_to_end("inspect", *arguments, cwd=tmp_path, **variables)
    assert (ended.exit_code, ended.stdout) == (exit_code, "")
    assert ended.stderr.count("\n") == 1
    assert part in ended.stderr


def test_once_without_json_prints_the_tables(tmp_path: Path) -> None:
    text = b"\n".join(LINES).decode()
    ended = inspected("--once", cwd=tmp_path, text=text)
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert max(map(len, ended.stdout.splitlines())) <= 80
    for part in ("conductor 1.2.3", "writer", "acme/keynote", "2 of 2 sessions"):
        assert part in ended.stdout
    followed = inspected("--follow", "acme/keynote", cwd=tmp_path, text=text)
    assert "KeyError('first')" in followed.stdout


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\u202e", "\x9b2J", "\r"])
def test_a_hostile_text_is_never_printed_as_it_is(hostile: str, tmp_path: Path) -> None:
    text = sessions(row(f"acme/{hostile}")).decode()
    for options in (["--json"], []):
        ended = inspected("-", *options, cwd=tmp_path, text=text)
        assert ended.exit_code == 0
        assert hostile not in ended.stdout


def test_in_a_terminal_it_follows_a_log_obeys_keys_and_restores_the_screen(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    path.write_bytes(b"\n".join(LINES) + b"\n")
    with terminal("inspect", str(path), cwd=tmp_path) as screen:
        assert "\x1b[?1049h" in screen.wait_for("acme/keynote")
        screen.resize(130, 30)
        screen.wait_for("long-" * 8 + "name")
        screen.press("n")
        screen.wait_for("session▾")
        screen.press("f")
        screen.wait_for("KeyError('first')")
        with path.open("ab") as file:
            file.write(of_session("actor_failed", error="KeyError('second')") + b"\n")
        screen.wait_for("KeyError('second')")
        screen.press("f")
        screen.wait_for("q quit")
        screen.press("tglobex\r")
        screen.wait_for("0 of 0 sessions of tenant globex")
        screen.press("q")
        screen.wait_for("\x1b[?1049l")
        assert screen.wait() == 0
        assert screen.current_modes() == screen.modes


def test_ctrl_c_restores_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    path.write_bytes(b"\n".join(LINES) + b"\n")
    with terminal("inspect", str(path), cwd=tmp_path) as screen:
        screen.wait_for("acme/keynote")
        screen.press("\x03")
        screen.wait_for("\x1b[?1049l")
        assert screen.wait() == 130
        assert screen.current_modes() == screen.modes


def test_a_pipe_can_be_read_while_keys_come_from_the_terminal(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    with terminal("inspect", str(fifo), cwd=tmp_path) as screen:
        with fifo.open("wb", buffering=0) as pipe:
            pipe.write(b"\n".join(LINES) + b"\n")
            screen.wait_for("acme/keynote")
        screen.wait_for("the pipe has ended")
        screen.press("q")
        assert screen.wait() == 0


def test_a_redis_with_partitions_shows_those_that_nobody_has(
    tmp_path: Path, valkey_url: str, redis_client: redis.Redis
) -> None:
    redis_client.set("conductor:partitions", 4)
    for number in (0, 1, 3):
        redis_client.set(f"conductor:owner:{{{number}}}", "host", px=30_000)
    cluster = document(inspected(valkey_url, "--once", "--json", cwd=tmp_path))["cluster"]
    assert (cluster["partitions"], cluster["without_owner"], cluster["hosts"]) == (4, [2], None)
    assert "collector: nobody has partition 2" in cluster["obstacles"]
    screen = inspected(valkey_url, "--once", cwd=tmp_path)
    assert "coordinator away · 4 partitions" in screen.stdout
