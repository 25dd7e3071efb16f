"""Adds the minutes before now to Redis, so that a demo does not begin with empty charts."""

from typing import Final

import redis

from conductor_actors.domain.commands import encode_quiet
from conductor_actors.domain.events import DECODERS
from conductor_actors.domain.identity import COMMANDS, prefixed
from conductor_actors.instants import to_iso
from conductor_actors.simulate.feed import STEP_S, STREAM_ENTRIES
from conductor_actors.simulate.simulation import Simulation

PAST_S: Final = 300.0  # what a chart shows; an anomaly needs half of it as its baseline
_STEPS_PER_CALL: Final = 40


def add_past(client: redis.Redis, simulation: Simulation, prefix: str = "") -> bool:
    """Simulate the 5 minutes before now; return whether there were no entries before.

    The entries have the ids of their time. What was added by others is not older than they are:
    the simulation begins after the newest entry, and skips what would have been before it. So its
    sessions are now where they are after 5 minutes, whatever was there. If they were silent in
    between, because no demo ran, that is a break by arrangement, and no anomaly.
    """
    names = [prefix + name for name in DECODERS]
    newest_ms = _newest_ms(client, names)
    seconds, microseconds = client.time()
    now_s = seconds + microseconds / 1e6
    begin_s = max(now_s - PAST_S, newest_ms / 1000 + STEP_S)
    if newest_ms and begin_s > newest_ms / 1000 + STEP_S:
        _add_break(client, simulation, prefix, newest_ms + int(STEP_S * 1000), begin_s)
    if newest_ms:
        simulation.disconnect(min(begin_s, now_s))
    simulation.skip(min(begin_s, now_s) - (now_s - PAST_S))
    times = [begin_s + step * STEP_S for step in range(int((now_s - begin_s) / STEP_S))]
    for start in range(0, len(times), _STEPS_PER_CALL):
        with client.pipeline(transaction=False) as pipeline:
            for at_s in times[start : start + _STEPS_PER_CALL]:
                for order, (name, body) in enumerate(simulation.step(at_s, STEP_S)):
                    pipeline.xadd(
                        prefix + name,
                        {"data": body},
                        id=f"{int(at_s * 1000)}-{order}",
                        maxlen=STREAM_ENTRIES,
                        approximate=True,
                    )
            pipeline.execute()
    return newest_ms == 0


def _add_break(
    client: redis.Redis, simulation: Simulation, prefix: str, begin_ms: int, end_s: float
) -> None:
    """Add the commands that make all sessions quiet between these times."""
    until = to_iso(end_s * 1000, "milliseconds")
    with client.pipeline(transaction=False) as pipeline:
        for order, (tenant, session_id) in enumerate(simulation.sessions):
            body = encode_quiet(session_id, until)
            name = prefix + prefixed(tenant, COMMANDS)
            pipeline.xadd(name, {"data": body}, id=f"{begin_ms}-{order}")
        pipeline.execute()


def _newest_ms(client: redis.Redis, names: list[str]) -> int:
    """Return the time of the newest entry that any of these streams has had; 0: none."""
    with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.xinfo_stream(name)
        replies = pipeline.execute(raise_on_error=False)
    ids = [reply["last-generated-id"] for reply in replies if isinstance(reply, dict)]
    return max((int(bytes(entry_id).split(b"-")[0]) for entry_id in ids), default=0)
