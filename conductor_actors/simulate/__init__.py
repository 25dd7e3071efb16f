"""Realistic traffic without a platform: for the demo, for tests and for benchmarks.

`programme` lists the sessions, `audience` simulates what people do in one of them, and `producer`
sends the events that a platform sends about it, with the quirks of real producers (the contract,
section 1). `platform` carries out what the conductor sends, and `responses` lists what that changes
in a session: effects that are known, so that what is learnt can be compared with them. `earlier`
simulates sessions that have ended.

Only `feed` and `past` read a clock: elsewhere the caller passes the time, so that the same seed,
the same steps and the same actions return the same events.
"""

from conductor_actors.simulate.bulk import bulk
from conductor_actors.simulate.earlier import earlier_entries
from conductor_actors.simulate.feed import feed
from conductor_actors.simulate.past import add_past
from conductor_actors.simulate.simulation import Simulation
from conductor_actors.simulate.titles import add_titles

__all__ = ["Simulation", "add_past", "add_titles", "bulk", "earlier_entries", "feed"]
