"""Three tables whose columns stand below each other: actors, tenants, sessions."""

from collections.abc import Callable, Sequence
from typing import Final, Generic, Literal, NamedTuple, TypeVar

from rich.table import Table
from rich.text import Text

from conductor_actors.commands.inspect.report import Actor, Session, Tenant
from conductor_actors.commands.inspect.reporting import Order
from conductor_actors.commands.terminal import count, duration, printable, rate
from conductor_actors.domain.identity import DEFAULT_TENANT

R = TypeVar("R", Actor, Tenant, Session)

LEAST_NAME_CELLS: Final = 16
MOST_NAME_CELLS: Final = 60
GAP_CELLS: Final = 1
SORTED_MARK: Final = "▾"

_STATE_STYLES: Final = {
    "running": "green",
    "restarting": "yellow",
    "passivating": "dim",
    "stopped": "dim",
}


class Column(NamedTuple, Generic[R]):
    """A column; the first takes what the others leave, the last give way on a narrow screen."""

    title: str
    cells: int
    draw: Callable[[R], str | Text]
    justify: Literal["left", "right"] = "right"
    order: Order | None = None


def table(
    columns: Sequence[Column[R]],
    rows: Sequence[R],
    width: int,
    order: Order | None = None,
    cursor: int | None = None,
) -> Table:
    """Draw rows under a line of titles, the one under the cursor turned around."""
    name, *others = columns
    while len(others) > 1 and _cells(others) + LEAST_NAME_CELLS > width:
        others.pop()
    drawn = Table(box=None, padding=(0, GAP_CELLS, 0, 0), pad_edge=False, header_style="dim")
    name_cells = max(1, min(MOST_NAME_CELLS, width - _cells(others)))
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


def _cells(columns: Sequence[Column[R]]) -> int:
    return sum(column.cells + GAP_CELLS for column in columns)


def session_name(tenant: str, session: str) -> str:
    """Write a session as `--follow` takes it: the tenant that has no prefix gets none here."""
    is_plain = tenant == DEFAULT_TENANT and "/" not in session
    return printable(session if is_plain else f"{tenant}/{session}")


def _state(state: str) -> Text:
    return Text(printable(state), style=_STATE_STYLES.get(state, "red"))


def _troubled(number: int) -> Text:
    return Text(count(number), style="red" if number else "")


ACTORS: Final[Sequence[Column[Actor]]] = (
    Column("actor", 0, lambda one: Text(printable(one.kind)), "left"),
    Column("state", 11, lambda one: _state(one.state), "left"),
    Column("mailbox", 8, lambda one: count(one.mailbox_depth)),
    Column("handled/s", 10, lambda one: rate(one.handled_per_s)),
    Column("oldest", 8, lambda one: duration(one.oldest_s)),
    Column("count", 7, lambda one: count(one.count)),
    Column("failures", 8, lambda one: _troubled(one.failures)),
)
TENANTS: Final[Sequence[Column[Tenant]]] = (
    Column("tenant", 0, lambda one: Text(printable(one.tenant)), "left", "name"),
    Column("quarantined", 11, lambda one: _troubled(one.quarantined)),
    Column("mailbox", 8, lambda one: count(one.mailbox_depth), order="depth"),
    Column("handled/s", 10, lambda one: rate(one.handled_per_s), order="rate"),
    Column("oldest", 8, lambda one: duration(one.oldest_s), order="oldest"),
    Column("takes", 7, lambda one: duration(one.handling_s), order="handling"),
    Column("sessions", 8, lambda one: count(one.sessions)),
)
SESSIONS: Final[Sequence[Column[Session]]] = (
    Column("session", 0, lambda one: Text(session_name(one.tenant, one.session)), "left", "name"),
    Column("state", 11, lambda one: _state(one.state), "left"),
    Column("mailbox", 8, lambda one: count(one.mailbox_depth), order="depth"),
    Column("handled/s", 10, lambda one: rate(one.handled_per_s), order="rate"),
    Column("oldest", 8, lambda one: duration(one.oldest_s), order="oldest"),
    Column("takes", 7, lambda one: duration(one.handling_s), order="handling"),
    Column("restarts", 8, lambda one: _troubled(one.restarts)),
)
