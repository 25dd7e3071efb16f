"""Realistic traffic without a platform: for the demo, for tests and for benchmarks.

`programme` is who plays, `room` what people do in one session, `wire` what a platform sends
about it, with the quirks of real producers (the contract, section 1). Nothing but `feed` has a
clock: the caller says what time it is, so the same seed and the same steps give the same events.
"""

from conductor_actors.simulate.bulk import bulk
from conductor_actors.simulate.feed import feed
from conductor_actors.simulate.simulation import Simulation

__all__ = ["Simulation", "bulk", "feed"]
