"""What the paths for stored sessions and events read from, and the settings to interpret it."""

from typing import NamedTuple

from conductor_actors.dashboard.clocks import Clocks
from conductor_actors.dashboard.scores.history_calls import HistoryCalls
from conductor_actors.ports.history_port import HistoryPorts


class HistorySources(NamedTuple):
    """The ports, how they are called, and the interval of the rows."""

    calls: HistoryCalls
    ports: HistoryPorts
    tick_s: int
    clocks: Clocks
