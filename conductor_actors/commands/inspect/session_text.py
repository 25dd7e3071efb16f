"""A session's description and its trace as lines of text."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from conductor_actors.commands.inspect.tables import (
    KIND_CELLS,
    message_summary,
    session_label,
    signal_lines,
)
from conductor_actors.commands.terminal import count, duration, printable, share, span
from conductor_actors.domain.introspection_protocol import (
    ConductFigures,
    PollFigures,
    ScoreFigures,
    SessionDescription,
    StateFigures,
    Supervision,
)
from conductor_actors.instants import to_datetime
from conductor_actors.log_events import MessageTraced

_LABEL_CELLS: Final = 12
_HIDDEN_KEYS: Final = {"timestamp", "level", "event", "actor", "tenant", "session", "exception"}


def description_lines(one: SessionDescription, next_tick_ms: int | None) -> Iterable[str]:
    """Return a description as labelled lines."""
    figures, mailbox = one.figures, one.mailbox
    mean_s = mailbox.busy_s / mailbox.handled if mailbox.handled else None
    name = session_label(one.tenant, one.session)
    state: str = one.state
    if one.supervision.quarantine_left_s is not None:
        state += f", for another {span(one.supervision.quarantine_left_s)}"
    yield _row("session", f"{name} · {state}")
    yield _row("event", printable(figures.event_id))
    newest = f"newest event {_time(figures.last_event_ms)}"
    yield _row("position", f"{newest}, {_ticks(figures, next_tick_ms)}")
    waiting = f"{mailbox.depth:,} waiting, the oldest for {duration(mailbox.oldest_s)}"
    done = f"{mailbox.handled:,} handled in {duration(mean_s)} each, {mailbox.refused:,} refused"
    yield _row("mailbox", f"{waiting}; {done}")
    yield _row("window", f"{figures.chats.total:,} messages, {figures.reactions.total:,} reactions")
    users = f"{figures.active:,} active, {figures.connected:,} connected, {figures.leavers:,} left"
    yield _row("users", users)
    yield _row("poll", _poll(figures.poll, figures.open_polls))
    yield from _arranged(figures)
    yield from _score(figures.score)
    if figures.anomaly is not None:
        anomaly = figures.anomaly
        since = f"{printable(anomaly.type)} since {_time(anomaly.began_ms)} UTC"
        yield _row("anomaly", f"{since}: {printable(anomaly.reason)}")
    yield from _conduct(figures.conduct)
    stored = f"{figures.message_ids:,} message ids, {figures.encoded_bytes:,} bytes in a checkpoint"
    yield _row("state", stored)
    yield from _supervision(one.supervision)


def trace_line(line: Mapping[str, Any]) -> str:
    """Return a log line about a session as one line of text."""
    at = str(line.get("timestamp", ""))[11:23]
    try:
        traced = msgspec.convert(line, MessageTraced)
    except ValueError:  # msgspec's errors are ValueErrors
        pairs = [f"{key} {line[key]}" for key in line if key not in _HIDDEN_KEYS]
        return printable(f"{at}  {line['event']}  {', '.join(pairs)}").rstrip()
    summary = message_summary(traced.kinds, traced.score, has_failed=traced.has_failed)
    omitted = f" ({traced.suppressed} omitted before)" if traced.suppressed else ""
    figures = f"{duration(traced.duration_s):>7}, {traced.mailbox_depth:,} waiting"
    return printable(f"{at}  {traced.kind:{KIND_CELLS}} {figures}  {summary}{omitted}".rstrip())


def _row(label: str, text: str) -> str:
    return f"{label:{_LABEL_CELLS}}{text}"


def _time(at_ms: int | None) -> str:
    if at_ms is None:
        return "-"
    return f"{to_datetime(at_ms):%H:%M:%S}"


def _ticks(figures: StateFigures, next_tick_ms: int | None) -> str:
    return f"last tick {_time(figures.last_tick_ms)}, next {_time(next_tick_ms)} UTC"


def _poll(poll: PollFigures | None, open_polls: int) -> str:
    if poll is None:
        return "none"
    state = "open" if poll.is_open else "closed"
    others = f"; {open_polls - 1} more" if open_polls > 1 else ""
    return (
        f"{printable(poll.id)}: {poll.voters:,} voters of {poll.base:,}, {state}, "
        f"last vote {_time(poll.last_vote_ms)}{others}"
    )


def _arranged(figures: StateFigures) -> Iterable[str]:
    """Return a line about what is arranged for the session, if anything is."""
    arranged = []
    if figures.quiet_until_ms:
        arranged.append(f"quiet until {_time(figures.quiet_until_ms)} UTC")
    if not figures.is_chat_open:
        arranged.append("chat closed")
    if arranged:
        yield _row("arranged", ", ".join(arranged))


def _score(score: ScoreFigures | None) -> Iterable[str]:
    if score is None:
        yield _row("score", "none: the session has not begun, is asleep or is over")
        return
    how = "tick" if score.is_tick else "so far, at"
    yield _row("score", f"{share(score.score)} {score.category} ({how} {_time(score.at_ms)})")
    for line in signal_lines(score.signals, score.contributions):
        yield _row("", line)


def _conduct(conduct: ConductFigures | None) -> Iterable[str]:
    if conduct is None:
        return
    mode = f"mode {conduct.mode or 'of its event'}"
    yield _row("conductor", f"{mode}{', measuring an outcome' if conduct.is_measuring else ''}")
    for each in conduct.open:
        what = f"{printable(each.type)} {printable(each.status)}"
        yield _row("", f"{what}, decided {_time(each.decided_ms)} UTC: {printable(each.id)}")


def _supervision(supervision: Supervision) -> Iterable[str]:
    yield _row("restarts", count(supervision.restarts))
    for failure in supervision.failures:
        yield _row("", f"{span(failure.ago_s)} ago: {printable(failure.error)}")
