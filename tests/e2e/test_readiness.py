"""`/ready` of the real service is true only while the ticks of its sessions come in time."""

from collections.abc import Sequence

import httpx
import pytest

from conductor_actors.actors.runtime.dispatcher import HUNG_AFTER_S
from conductor_actors.app.tick_watchdog import MAX_STALL_S
from conductor_actors.observability.tick_timeliness import MAX_DELAY_S
from tests.e2e.deployment import Deployment, terminate
from tests.e2e.test_failover import INJECTED
from tests.support.event_samples import REACTION
from tests.support.processes import ROOT
from tests.support.programs import Program
from tests.support.waiting import wait_until

HUNG_SESSIONS = int(MAX_DELAY_S / HUNG_AFTER_S) + 2  # one after the other, on one thread


def with_fault(name: str) -> dict[str, str]:
    return {"PYTHONPATH": f"{INJECTED}:{ROOT}", "CONDUCTOR_TEST_FAULTS": name}


def obstacles(address: str) -> Sequence[str]:
    """Return why a service is not ready; empty if it is."""
    reply = httpx.get(f"{address}ready")
    reasons: Sequence[str] = reply.json()["reasons"]
    assert reply.status_code == (503 if reasons else 200)
    return reasons


def are_ticks_late(address: str) -> bool:
    return any(each.startswith("collector: ticks are ") for each in obstacles(address))


def wait_until_ready(program: Program) -> str:
    address: str = program.wait_for("dashboard_started")["address"]
    program.wait_for("service_started")
    wait_until(lambda: not obstacles(address))
    return address


@pytest.mark.timeout(120)
def test_it_is_not_ready_while_hung_sessions_delay_a_tick_and_ready_after_their_quarantine(
    deployment: Deployment,
) -> None:
    with deployment.running(**with_fault("sessions")) as program:
        address = wait_until_ready(program)
        deployment.add_reaction()
        program.wait_for("tick_completed", sessions=1)
        for number in range(HUNG_SESSIONS):
            body = b'{"sessionId":"hang-%d","userId":"ada"}' % number
            deployment.client.xadd(REACTION, {"data": body})
        wait_until(lambda: are_ticks_late(address), 2 * HUNG_SESSIONS * HUNG_AFTER_S)
        wait_until(lambda: not obstacles(address), 2 * HUNG_SESSIONS * HUNG_AFTER_S)
        assert len(program.all("session_quarantined")) == HUNG_SESSIONS
        program.kill()


@pytest.mark.timeout(120)
def test_it_is_not_ready_once_ticks_have_stopped_and_before_it_gives_up(
    deployment: Deployment,
) -> None:
    with deployment.running(**with_fault("ticker")) as program:
        address = wait_until_ready(program)
        deployment.add_reaction()
        wait_until(lambda: are_ticks_late(address), MAX_STALL_S)
        assert program.all("ticks_stalled") == []
        program.kill()


def test_it_stays_ready_while_ticks_come_in_time_and_after_its_sessions(
    deployment: Deployment,
) -> None:
    with deployment.running() as program:
        address = wait_until_ready(program)
        deployment.add_reaction()
        program.wait_for("tick_completed", sessions=1)
        assert obstacles(address) == []
        terminate(program)
