"""What the collector stores and publishes of a decision is what the dashboard reads and answers."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import httpx
import pytest

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.domain.commands import decode_command
from conductor_actors.domain.conductor.interventions import AgentState
from conductor_actors.domain.conductor.requests import Approved
from tests.dashboard.agents import measured, moved, suggestion
from tests.dashboard.conftest import Connect, Serve, this_tick_ms
from tests.support.event_samples import COMMANDS
from tests.support.score_rows import row

pytestmark = pytest.mark.anyio

Write = Callable[..., None]


async def test_a_decision_is_the_same_live_and_stored_from_suggestion_to_outcome(
    serve: Serve, connect: Connect, store: Write, publish: Write, session_id: str
) -> None:
    one = suggestion(ticks_ago=3)
    waiting = AgentState("SEMI_AUTO", "WAITING_APPROVAL", one.id)
    suggested = row(session_id, one.at_ms, interventions=(one,), agent=waiting)
    dashboard = serve()
    path = f"/api/v1/agent/sessions/{session_id}/decisions/{one.id}"
    client = await connect(dashboard)
    await client.call("agent:subscribe", sessionId=session_id)
    await client.body("agent.status")

    async with httpx.AsyncClient(base_url=dashboard.address) as http:
        store(suggested)
        stored = (await http.get(path)).json()
        publish(suggested)
        received = dict([await client.next(), await client.next()])
        assert stored == {**received["agent.decision"]["data"], "shares": stored["shares"]}
        assert received["agent.status"]["data"]["decision_id"] == one.id

        assert (await http.post(f"{path}/approve")).status_code == 200
        done = measured(moved(moved(one, "APPROVED"), "SENT"))
        over = row(session_id, this_tick_ms(1), interventions=(done,), agent=waiting)
        store(over)
        store(suggested, over)  # as after a crash
        publish(over)
        last = (await client.body("agent.decision"))["data"]
        [listed] = (await http.get(f"/api/v1/interventions/history/{session_id}")).json()
        assert listed == last
        stats = (await http.get(f"/api/v1/interventions/stats/{session_id}")).json()
        assert (stats["measured"], stats["successful"]) == (1, 1)
        assert stats["mean_reward"] == done.outcome.reward if done.outcome else False
        again = await http.post(f"{path}/reject")
        assert (again.status_code, "SENT" in again.text) == (409, True)


async def test_the_session_gets_the_answer_that_was_given(
    serve: Serve, store: Write, valkey_url: str, session_id: str
) -> None:
    one = suggestion()
    store(row(session_id, one.at_ms, interventions=(one,)))
    path = f"/api/v1/agent/sessions/{session_id}/decisions/{one.id}/approve"
    edited = {"message": "Which of the two?"}
    async with httpx.AsyncClient(base_url=serve().address) as http:
        assert (await http.post(path, json={"content": edited})).status_code == 200
    with closing(open_client(valkey_url)) as client:
        entries: Any = client.xrange(COMMANDS)
    [(_, fields)] = entries
    assert decode_command(fields[b"data"], 7) == (session_id, Approved(7, one.id, edited))
