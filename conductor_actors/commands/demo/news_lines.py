"""An update, the begin or end of an anomaly, or a decision of the conductor, as a line of text."""

from typing import assert_never

from conductor_actors.commands.demo.board import News
from conductor_actors.commands.demo.decision_news import DecisionNews, describe
from conductor_actors.commands.terminal import printable
from conductor_actors.instants import from_iso
from conductor_actors.wire.anomaly_messages import Anomaly, AnomalyEnd, AnomalyMessage
from conductor_actors.wire.updates import Update


def format_news(news: News) -> str:
    """Return a message as one line of text."""
    head = (
        f"{from_iso(news.timestamp):%Y-%m-%dT%H:%M:%SZ} {printable(news.tenant_id)}"
        f" {printable(news.session_id)}"
    )
    match news:
        case Update():
            return f"{head} {_format_update(news)}"
        case Anomaly():
            reason = f": {printable(news.reason)}" if isinstance(news.reason, str) else ""
            return f"{head} {news.severity} {title(news)}{reason}"
        case AnomalyEnd():
            return f"{head} {title(news)} is over after {duration(news.duration_s)}"
        case DecisionNews():
            return f"{head} conductor: {printable(describe(news))}"
        case _:
            assert_never(news)


def title(anomaly: AnomalyMessage) -> str:
    """Return the type of an anomaly for people, such as `sudden drop`."""
    return printable(anomaly.type).replace("_", " ").lower()


def duration(length_s: float) -> str:
    """Return a length of time in minutes and seconds."""
    minutes, seconds = divmod(max(0, round(length_s)), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _format_update(update: Update) -> str:
    signals = update.signals
    return (
        f"{update.score:.0%} {update.category}"
        f" chat/min={signals.chat_msgs_per_min:.0f} poll={signals.poll_participation:.0%}"
        f" active={signals.active_users}/{signals.total_users}"
        f" reactions/min={signals.reactions_per_min:.0f} leave_rate={signals.user_leave_rate:.0%}"
    )
