"""`inspect session` on a running service: descriptions, traces, and errors in one line."""

import json
import signal
from pathlib import Path

import pytest
import redis

from tests.support.databases import temporary_database
from tests.support.event_samples import CHAT, SYNC
from tests.support.programs import QUICK, Program, run_to_end, running
from tests.support.terminal import terminal

TENANTS = {"CONDUCTOR_TENANTS": "acme"}
# The users must still be active when the inspectors have started, however slow the machine is.
LONG_WINDOW = {"CONDUCTOR_WINDOW_S": "300", "CONDUCTOR_SESSION_TIMEOUT_S": "600"}


def send_events(client: redis.Redis, count: int = 3) -> None:
    """Send the events of a session whose users join and chat."""
    for number in range(count):
        joined = {"type": "user_join", "sessionId": "room", "userId": f"joined-{number}"}
        message = {"id": f"m{number}", "authorId": f"author-{number}", "text": "a secret"}
        client.xadd(f"acme:{SYNC}", {"data": json.dumps(joined)})
        client.xadd(f"acme:{CHAT}", {"data": json.dumps({"sessionId": "room", "message": message})})


def drain(program: Program) -> None:
    program.signal(signal.SIGTERM)
    assert program.finish().exit_code == 0


def test_a_session_is_described_and_traced_by_the_collector_that_has_it(
    valkey_url: str, postgres_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    inspector = {"REDIS_URL": valkey_url}
    with temporary_database(postgres_url) as url:
        settings = QUICK | LONG_WINDOW | TENANTS | inspector | {"DATABASE_URL": url}
        with running("collect", cwd=tmp_path, **settings) as program:
            program.wait_for("actor_started", actor="router")
            send_events(redis_client)
            program.wait_for("tick_completed", sessions=1)
            program.wait_for("tick_completed", sessions=1)
            text = run_to_end("inspect", "session", "acme/room", cwd=tmp_path, **inspector)
            found = run_to_end(
                "inspect", "session", "acme/room", "--json", cwd=tmp_path, **inspector
            )
            nobody = run_to_end("inspect", "session", "room", cwd=tmp_path, **inspector)
            with running(
                *("inspect", "session", "acme/room", "--trace", "--for", "5", "--json"),
                cwd=tmp_path,
                **inspector,
            ) as tracing:
                tracing.wait_for("trace_began")
                send_events(redis_client)
                tracing.wait_for("message_traced", kind="EventBatch")
                tick = tracing.wait_for("message_traced", kind="Tick")
                over = tracing.wait_for("trace_ended")
                assert tracing.finish().exit_code == 0
            with terminal(
                *("inspect", valkey_url, "--follow", "acme/room"),
                cwd=tmp_path,
            ) as screen:
                screen.wait_for("last messages")
                screen.press("q")
                assert screen.wait() == 0
            drain(program)
            gone = run_to_end("inspect", "session", "acme/room", cwd=tmp_path, **inspector)
    assert (text.exit_code, text.stderr) == (0, "")
    for part in ("acme/room · running", "6 active", "3 connected", "in a checkpoint", "+"):
        assert part in text.stdout
    answer = json.loads(found.stdout)
    assert answer["description"]["known"]["active"] == 6
    assert answer["description"]["known"]["score"]["is_tick"]
    assert answer["next_tick_ms"] > answer["description"]["known"]["last_event_ms"]
    assert answer["lines"] == "stream"
    for secret in ("secret", "author-", "joined-"):
        assert secret not in text.stdout + found.stdout + "".join(program.output + tracing.output)
    assert (nobody.exit_code, nobody.stdout) == (1, "")
    assert "no such session: default/room" in nobody.stderr
    assert tick["score"] > 0
    assert over["messages"] > 0
    assert (gone.exit_code, gone.stdout) == (1, "")
    assert "no collector listens" in gone.stderr


def test_without_a_log_stream_the_command_reports_that_the_trace_is_on_stdout(
    valkey_url: str, postgres_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    inspector = {"REDIS_URL": valkey_url}
    with temporary_database(postgres_url) as url:
        settings = (
            QUICK | TENANTS | inspector | {"DATABASE_URL": url, "CONDUCTOR_LOG_STREAM": "false"}
        )
        with running("collect", cwd=tmp_path, **settings) as program:
            program.wait_for("actor_started", actor="router")
            send_events(redis_client)
            program.wait_for("tick_completed", sessions=1)
            ended = run_to_end(
                "inspect", "session", "acme/room", "--trace", cwd=tmp_path, **inspector
            )
            program.wait_for("message_traced", tenant="acme", session="room", kind="Tick")
            drain(program)
    assert (ended.exit_code, ended.stdout) == (0, "")
    assert "only on its stdout" in ended.stderr


def test_a_collector_that_does_not_answer_is_reported(
    valkey_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    with redis_client.pubsub() as silent:  # type: ignore[no-untyped-call]
        silent.subscribe("conductor:requests")
        silent.get_message(timeout=5)
        ended = run_to_end("inspect", "session", "room", cwd=tmp_path, REDIS_URL=valkey_url)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "no answer within 5 s from 1 of 1 collectors" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["session", ""], "inspect session"),
        (["session", "x" * 256], "inspect session"),
        (["session", "room"], "set REDIS_URL"),
    ],
)
def test_a_request_that_can_not_be_sent_is_reported_in_one_line(
    arguments: list[str], part: str, tmp_path: Path
) -> None:
    variables = {"CONDUCTOR_STATE_DIR": str(tmp_path)}
    if part != "set REDIS_URL":
        variables["REDIS_URL"] = "redis://127.0.0.1:1"
    ended = run_to_end("inspect", *arguments, cwd=tmp_path, **variables)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert part in ended.stderr
