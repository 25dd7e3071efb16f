"""The tables of actors, tenants and sessions, and the lines about signals and messages."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Generic, Literal, NamedTuple, TypeVar

from rich.table import Table
from rich.text import Text

from conductor_actors.commands.inspect.report import (
    ActorReport,
    SessionReport,
    SortOrder,
    TenantReport,
)
from conductor_actors.commands.terminal import count, duration, printable, rate, share
from conductor_actors.domain.identity import DEFAULT_TENANT, SessionKey
from conductor_actors.domain.scoring import Contributions, Signals

Row = TypeVar("Row", ActorReport, TenantReport, SessionReport)

MIN_NAME_CELLS: Final = 16
MAX_NAME_CELLS: Final = 60
SIGNAL_CELLS: Final = 14
KIND_CELLS: Final = 12  # of a message
GAP_CELLS: Final = 1
SORTED_MARK: Final = "▾"

_STATE_STYLES: Final = {
    "running": "green",
    "restarting": "yellow",
    "passivating": "dim",
    "stopped": "dim",
}


class TableColumn(NamedTuple, Generic[Row]):
    """A column. The first one takes the remaining width; a narrow screen omits the last ones."""

    title: str
    cells: int
    draw: Callable[[Row], str | Text]
    justify: Literal["left", "right"] = "right"
    order: SortOrder | None = None


def draw_table(
    columns: Sequence[TableColumn[Row]],
    rows: Sequence[Row],
    width: int,
    order: SortOrder | None = None,
    cursor: int | None = None,
) -> Table:
    """Return a table with a line of titles; the row under the cursor is in reverse video."""
    name, *others = columns
    while len(others) > 1 and _cells(others) + MIN_NAME_CELLS > width:
        others.pop()
    drawn = Table(box=None, padding=(0, GAP_CELLS, 0, 0), pad_edge=False, header_style="dim")
    name_cells = max(1, min(MAX_NAME_CELLS, width - _cells(others)))
    for column, cells in ((name, name_cells), *((each, each.cells) for each in others)):
        is_sorted = order is not None and column.order == order
        drawn.add_column(
            f"{column.title}{SORTED_MARK if is_sorted else ''}",
            width=cells,
            justify=column.justify,
            no_wrap=True,
            overflow="ellipsis",
        )
    for index, row in enumerate(rows):
        style = "reverse" if index == cursor else None
        drawn.add_row(*(column.draw(row) for column in (name, *others)), style=style)
    return drawn


def _cells(columns: Sequence[TableColumn[Row]]) -> int:
    return sum(column.cells + GAP_CELLS for column in columns)


def session_label(tenant: str, session: str) -> str:
    """Return the shortest name that `--follow` accepts for the session."""
    is_plain = tenant == DEFAULT_TENANT and "/" not in session
    return printable(session if is_plain else str(SessionKey(tenant, session)))


def message_summary(kinds: Mapping[str, int], score: float | None, *, has_failed: bool) -> str:
    """Return the result of a traced message: the events by kind, or the score."""
    known = ", ".join(f"{number:,} {kind}" for kind, number in kinds.items())
    if score is not None:
        known = f"score {share(score)}"
    return f"{known} failed" if has_failed else known


def signal_lines(signals: Signals, contributions: Contributions) -> Iterable[str]:
    """Return a line for each signal of a score: its value, and what it adds to the score."""
    users = f"{signals.active_users:,}/{signals.total_users:,} users"
    for name, value, added in (
        ("chat", f"{signals.chat_msgs_per_min:.0f}/min", contributions.chat),
        ("poll", share(signals.poll_participation), contributions.poll),
        ("active", users, contributions.active_users),
        ("reactions", f"{signals.reactions_per_min:.0f}/min", contributions.reactions),
        ("leave rate", share(signals.user_leave_rate), contributions.leave_rate),
    ):  # + 0.0: a contribution can be -0.0
        yield f"{name:{SIGNAL_CELLS}}{value:>{SIGNAL_CELLS}}  {added + 0.0:+8.1%}"


def _state(state: str) -> Text:
    return Text(printable(state), style=_STATE_STYLES.get(state, "red"))


def _anomaly(one: SessionReport) -> Text:
    return Text(printable(one.anomaly.type) if one.anomaly else "", style="yellow")


def _red_if_any(number: int) -> Text:
    return Text(count(number), style="red" if number else "")


ACTOR_COLUMNS: Final[Sequence[TableColumn[ActorReport]]] = (
    TableColumn("actor", 0, lambda one: Text(printable(one.kind)), "left"),
    TableColumn("state", 11, lambda one: _state(one.state), "left"),
    TableColumn("mailbox", 8, lambda one: count(one.mailbox_depth)),
    TableColumn("handled/s", 10, lambda one: rate(one.handled_per_s)),
    TableColumn("oldest", 8, lambda one: duration(one.oldest_s)),
    TableColumn("count", 7, lambda one: count(one.count)),
    TableColumn("failures", 8, lambda one: _red_if_any(one.failures)),
)
TENANT_COLUMNS: Final[Sequence[TableColumn[TenantReport]]] = (
    TableColumn("tenant", 0, lambda one: Text(printable(one.tenant)), "left", "name"),
    TableColumn("quarantined", 11, lambda one: _red_if_any(one.quarantined)),
    TableColumn("mailbox", 8, lambda one: count(one.mailbox_depth), order="depth"),
    TableColumn("handled/s", 10, lambda one: rate(one.handled_per_s), order="rate"),
    TableColumn("oldest", 8, lambda one: duration(one.oldest_s), order="oldest"),
    TableColumn("takes", 7, lambda one: duration(one.handling_s), order="handling"),
    TableColumn("sessions", 8, lambda one: count(one.sessions)),
    TableColumn("anomalies", 9, lambda one: count(one.open_anomalies)),
)
SESSION_COLUMNS: Final[Sequence[TableColumn[SessionReport]]] = (
    TableColumn(
        "session", 0, lambda one: Text(session_label(one.tenant, one.session)), "left", "name"
    ),
    TableColumn("state", 11, lambda one: _state(one.state), "left"),
    TableColumn("mailbox", 8, lambda one: count(one.mailbox_depth), order="depth"),
    TableColumn("handled/s", 10, lambda one: rate(one.handled_per_s), order="rate"),
    TableColumn("oldest", 8, lambda one: duration(one.oldest_s), order="oldest"),
    TableColumn("takes", 7, lambda one: duration(one.handling_s), order="handling"),
    TableColumn("restarts", 8, lambda one: _red_if_any(one.restarts)),
    TableColumn("anomaly", 15, _anomaly, "left"),
)
