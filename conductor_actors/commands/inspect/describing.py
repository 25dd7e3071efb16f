"""What was answered about a session, and the lines of its trace, as text for a terminal."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from conductor_actors.commands.inspect.tables import session_name
from conductor_actors.commands.terminal import count, duration, printable, share, span
from conductor_actors.domain.introspection_protocol import (
    Description,
    PollFigures,
    Score,
    StateFigures,
    Upkeep,
)
from conductor_actors.log_events import MessageTraced

_LABEL_CELLS: Final = 12
_KIND_CELLS: Final = 12


def lines_of(one: Description, next_tick_ms: int | None) -> Iterable[str]:
    """Write a description, a line for each thing that is known."""
    known, mailbox = one.known, one.mailbox
    mean_s = mailbox.busy_s / mailbox.handled if mailbox.handled else None
    name = session_name(one.tenant, one.session)
    state: str = one.state
    if one.upkeep.quarantine_left_s is not None:
        state += f", for another {span(one.upkeep.quarantine_left_s)}"
    yield _row("session", f"{name} · {state}")
    yield _row("event", printable(known.event_id))
    yield _row(
        "position", f"newest event {_at(known.last_event_ms)}, {_ticks(known, next_tick_ms)}"
    )
    waiting = f"{mailbox.depth:,} waiting, the oldest for {duration(mailbox.oldest_s)}"
    done = f"{mailbox.handled:,} handled in {duration(mean_s)} each, {mailbox.refused:,} refused"
    yield _row("mailbox", f"{waiting}; {done}")
    yield _row("window", f"{known.chats.total:,} messages, {known.reactions.total:,} reactions")
    users = f"{known.active:,} active, {known.connected:,} connected, {known.leavers:,} left"
    yield _row("users", users)
    yield _row("poll", _poll(known.poll))
    yield from _score(known.score)
    stored = f"{known.message_ids:,} message ids, {known.encoded_bytes:,} bytes in a checkpoint"
    yield _row("remembered", stored)
    yield from _upkeep(one.upkeep)


def trace_line(line: Mapping[str, Any]) -> str:
    """Write a line of the log stream, of whatever kind, that is about one session."""
    at = str(line.get("timestamp", ""))[11:23]
    try:
        traced = msgspec.convert(line, MessageTraced)
    except ValueError:  # msgspec's errors are ValueErrors
        told = _pairs({key: line[key] for key in line if key not in _KNOWN})
        return printable(f"{at}  {line['event']}  {told}").rstrip()
    about = _pairs(traced.kinds)
    if traced.score is not None:
        about = f"score {share(traced.score)}"
    notes = " failed" if traced.has_failed else ""
    notes += f" ({traced.suppressed} left out before)" if traced.suppressed else ""
    figures = f"{duration(traced.duration_s):>7}, {traced.mailbox_depth:,} waiting"
    return printable(f"{at}  {traced.kind:{_KIND_CELLS}} {figures}  {about}{notes}".rstrip())


_KNOWN: Final = {"timestamp", "level", "event", "actor", "tenant", "session", "exception"}


def _row(label: str, text: str) -> str:
    return f"{label:{_LABEL_CELLS}}{text}"


def _at(at_ms: int | None) -> str:
    if at_ms is None:
        return "-"
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%H:%M:%S}"


def _ticks(known: StateFigures, next_tick_ms: int | None) -> str:
    return f"last tick {_at(known.last_tick_ms)}, next {_at(next_tick_ms)} UTC"


def _poll(poll: PollFigures | None) -> str:
    if poll is None:
        return "none"
    state = "open" if poll.is_open else "closed"
    return (
        f"{printable(poll.id)}: {poll.voters:,} voters of {poll.base:,}, {state}, "
        f"last vote {_at(poll.last_vote_ms)}"
    )


def _score(score: Score | None) -> Iterable[str]:
    if score is None:
        yield _row("score", "none: it has not begun, or is over")
        return
    how = "tick" if score.is_tick else "so far, at"
    yield _row("score", f"{share(score.score)} {score.category} ({how} {_at(score.at_ms)})")
    signals, added = score.signals, score.contributions
    for name, measured, worth in (
        ("chat", f"{signals.chat_msgs_per_min:.0f}/min", added.chat),
        ("poll", share(signals.poll_participation), added.poll),
        ("active", f"{signals.active_users:,}/{signals.total_users:,}", added.active_users),
        ("reactions", f"{signals.reactions_per_min:.0f}/min", added.reactions),
        ("leaving", share(signals.user_leave_rate), added.leave_rate),
    ):
        yield _row("", f"{name:{_LABEL_CELLS}}{measured:>{_LABEL_CELLS}}  {worth + 0.0:+8.1%}")


def _upkeep(upkeep: Upkeep) -> Iterable[str]:
    yield _row("restarts", count(upkeep.restarts))
    for failure in upkeep.failures:
        yield _row("", f"{span(failure.ago_s)} ago: {printable(failure.error)}")


def _pairs(figures: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in figures.items())
