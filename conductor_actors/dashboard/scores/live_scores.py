"""What is live of all sessions, for those who send it."""

from typing import NamedTuple

from conductor_actors.dashboard.scores.live_anomalies import LiveAnomalies
from conductor_actors.dashboard.scores.live_decisions import LiveDecisions
from conductor_actors.dashboard.scores.live_sessions import LiveSessions
from conductor_actors.dashboard.scores.recent_history import RecentHistory


class LiveScores(NamedTuple):
    """The live sessions, their last five minutes, their anomalies, and their conductors."""

    sessions: LiveSessions
    recent: RecentHistory
    anomalies: LiveAnomalies
    decisions: LiveDecisions
