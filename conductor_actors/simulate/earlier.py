"""Simulates sessions that ended today, so that a demo begins with something to look back on."""

from collections.abc import Iterator
from random import Random
from typing import Final

from conductor_actors.domain.entries import Entry
from conductor_actors.domain.identity import DEFAULT_TENANT
from conductor_actors.simulate.audience import Audience
from conductor_actors.simulate.producer import SYNC, SentEvent, SimulatedProducer
from conductor_actors.simulate.programme import EARLIER, EarlierScript

_STEP_S: Final = 1.0
_NOT_COUNTED: Final = b'{"resource": "POLL", "action": "UPDATED", "payload": {}}'


def earlier_entries(now_s: float, seed: int) -> Iterator[Entry]:
    """Return the events of the sessions that ended, in order, until `now_s`."""
    events = [event for earlier in EARLIER for event in _events(earlier, now_s, seed)]
    events.sort(key=lambda event: event.at_s)
    for number, event in enumerate(events):
        yield int(event.at_s * 1000), number, event.name, event.body
    yield int(now_s * 1000), 0, SYNC, _NOT_COUNTED  # so that the ticks until now are due


def _events(earlier: EarlierScript, now_s: float, seed: int) -> Iterator[SentEvent]:
    script = earlier.script
    rng = Random(f"{seed}:{script.session_id}")  # noqa: S311 - no secret
    producer = SimulatedProducer(script.session_id, DEFAULT_TENANT, rng)
    audience = Audience(script, producer, rng)
    began_s = now_s - earlier.began_before_s
    for step in range(int(earlier.length_s / _STEP_S)):
        yield from audience.step(began_s + step * _STEP_S, _STEP_S)
