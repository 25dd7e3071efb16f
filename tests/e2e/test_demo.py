"""The demo as a newcomer uses it: a suggestion is approved, and carried out."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from conductor_actors.adapters.embedded.server_process import free_port
from tests.support.programs import Program, running
from tests.support.servers import temporary_state_dir
from tests.support.waiting import wait_until


def lines_with(program: Program, text: str) -> list[str]:
    return [line for line in program.output if text in line]


def is_printed(program: Program, text: str) -> Callable[[], bool]:
    return lambda: bool(lines_with(program, text)) or program.has_ended


@pytest.mark.timeout(300)
def test_within_two_minutes_an_action_is_suggested_approved_and_carried_out(
    tmp_path: Path,
) -> None:
    port = free_port()
    variables = {"CONDUCTOR_HTTP_PORT": str(port), "CONDUCTOR_METRICS_PORT": "0"}
    with (
        temporary_state_dir(initialised=True) as state_dir,
        running("demo", cwd=tmp_path, CONDUCTOR_STATE_DIR=str(state_dir), **variables) as program,
        httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1/agent") as api,
    ):
        wait_until(is_printed(program, "conductor: suggests a "), within_s=180)
        suggested = lines_with(program, "conductor: suggests a ")[0]
        session_id, action = suggested.split()[2], suggested.split(" suggests a ")[1].split(",")[0]
        decisions = api.get("/decisions").json()["decisions"]
        decision = next(one for one in decisions if one["session_id"] == session_id)
        approved = api.post(f"/sessions/{session_id}/decisions/{decision['id']}/approve", json={})
        assert approved.status_code == 200
        done = f"{session_id} conductor: {action} sent, and carried out by the platform"
        wait_until(is_printed(program, done), within_s=60)
        assert lines_with(program, f"{session_id} conductor: {action} approved")
        assert lines_with(program, done)
        program.press_ctrl_c()
        assert program.finish().exit_code == 0
