"""What the collector stores and publishes of an anomaly is what the dashboard reads."""

from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest

from tests.dashboard.conftest import Connect, Serve, this_tick_ms
from tests.support.score_rows import began, ended, row

pytestmark = pytest.mark.anyio

Write = Callable[..., None]


async def test_an_anomaly_is_the_same_live_and_stored(
    serve: Serve, connect: Connect, store: Write, publish: Write, session_id: str
) -> None:
    began_ms, ended_ms, anomaly_id = this_tick_ms(3), this_tick_ms(1), str(uuid4())
    begin = row(session_id, began_ms, anomalies=(began(anomaly_id, onset_ms=began_ms - 9_000),))
    end = row(session_id, ended_ms, anomalies=(ended(anomaly_id, began_ms),))
    dashboard = serve()
    path = f"/api/v1/sessions/{session_id}/anomalies"
    client = await connect(dashboard)
    await client.subscribe(session_id)
    await client.body("engagement:history")

    async with httpx.AsyncClient(base_url=dashboard.address) as http:
        store(begin)
        (stored,) = (await http.get(path, params={"open": "true"})).json()["anomalies"]
        publish(begin)
        received = dict([await client.next(), await client.next()])
        nulls = {"endedAt": None, "durationS": None, "feedback": None}
        assert stored == {**received["anomaly:detected"], **nulls}

        feedback = f"/api/v1/anomalies/{anomaly_id}/feedback"
        judged = (await http.post(feedback, json={"verdict": "not_a_problem"})).json()
        store(end)
        store(begin, end)  # as after a crash
        (over,) = (await http.get(path)).json()["anomalies"]
    publish(end)
    received = dict([await client.next(), await client.next()])
    last = received["anomaly:ended"]
    assert over == {**judged, "endedAt": last["timestamp"], "durationS": last["durationS"]}
    assert (over["durationS"], over["feedback"]["verdict"]) == (10.0, "not_a_problem")
    await client.subscribe(session_id)
    assert (await client.body("engagement:history"))["anomalies"] == [over]
