"""The `cluster` command: run the service on a cluster of Ray nodes, watch it, empty a node, end it.

Names and addresses come from Redis or Ray: control characters are escaped before printing.
"""

import sys
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conductor_actors.adapters.redis.cluster_status_store import RedisClusterStatus
from conductor_actors.app.startup import ServerUrls, configure, open_servers
from conductor_actors.commands.terminal import (
    UNKNOWN,
    count,
    duration,
    print_stderr,
    printable,
    rate,
    share,
)
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.instants import to_iso
from conductor_actors.settings import Settings
from conductor_actors.settings.loading import load_settings
from conductor_actors.wire.cluster_status import (
    CLUSTER_STATUS_MAX_AGE_S,
    ClusterStatus,
    encode_cluster_status,
)

MAX_LISTED_PARTITIONS: Final = 12
MAX_LINE_CELLS: Final = 160  # of a file or pipe

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Run the service on the nodes of a Ray cluster, as one. It requires:\n\n"
    "pip install 'conductor-actors[cluster]'\n\n"
    "`up`, `leave` and `down` run on a node of the cluster, whose address is RAY_ADDRESS. "
    "REDIS_URL and DATABASE_URL must be set.",
)


@app.command(short_help="Run the service on all nodes.")
def up() -> None:
    """Run the service on all nodes of the cluster; return once every partition has an owner.

    It continues where the last one ended. If it runs already, only that is checked. Settings of
    this command are those of the whole service; to change them, run `down` first. stderr shows what
    it waits for, if that takes longer than 5 s.
    """
    from conductor_actors.cluster.up_command import bring_up  # noqa: PLC0415 - Ray may be missing

    settings = configure(sys.stderr)
    bring_up(settings, _urls(settings), lambda line: print_stderr(printable(line)))


@app.command(short_help="Show nodes, hosts and partitions.")
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show nodes, hosts and partitions, the splitter, and the last moves.

    It reads what the coordinator stores in Redis every second. If there is nothing, or it is older
    than 5 s, it says so, and the exit code is 1: the hosts may run on nevertheless.
    """
    settings = configure(sys.stderr)
    with (
        open_servers(settings, database=False) as urls,
        closing(RedisClusterStatus(urls.redis)) as store,
    ):
        found = store.read()
    if found is None:
        raise Unavailable("no cluster: its coordinator has stored no status for 10 s")
    if as_json:
        typer.echo(encode_cluster_status(found))
    else:
        _print_status(found)
    age_s = found.age_s(int(time.time() * 1000))
    if age_s > CLUSTER_STATUS_MAX_AGE_S:
        raise Unavailable(f"the status is {age_s:.0f} s old: the coordinator is away")


@app.command(short_help="Empty a node.")
def leave(
    node: Annotated[
        str | None,
        typer.Argument(
            metavar="NODE", help="Its address or id. Default: the node of this command."
        ),
    ] = None,
) -> None:
    """Move everything from a node to the others; return once it is empty.

    Nothing starts there any more, until Ray is started anew on the node.
    """
    from conductor_actors.cluster.cluster_client import connected  # noqa: PLC0415 - the same

    with connected(load_settings().namespace) as client:
        client.leave(node)


@app.command(short_help="Drain everything, and end the service.")
def down() -> None:
    """Drain everything, and remove the service from the cluster. The next `up` continues."""
    from conductor_actors.cluster.cluster_client import connected  # noqa: PLC0415 - the same

    with connected(load_settings().namespace) as client:
        client.take_down()


def _urls(settings: Settings) -> ServerUrls:
    """Return the URLs of the servers, which all nodes must reach: none is embedded."""
    for variable, url in (
        ("REDIS_URL", settings.redis_url),
        ("DATABASE_URL", settings.database_url),
    ):
        if url is None:
            raise ConfigError(f"{variable}: must be set, to a server that all nodes reach")
    with open_servers(settings) as urls:
        return urls


def _print_status(found: ClusterStatus) -> None:
    console = Console(width=None if sys.stdout.isatty() else MAX_LINE_CELLS)
    owned = found.partitions - len(found.without_owner)
    console.print(f"{owned} of {found.partitions} partitions have an owner", highlight=False)
    if found.without_owner:
        console.print(f"without owner: {_numbers(found.without_owner)}", style="red")
    console.print(_splitter_line(found), highlight=False)
    console.print()
    console.print(_hosts(found))
    if found.moves:
        console.print()
        console.print(_moves(found))


def _splitter_line(found: ClusterStatus) -> Text:
    splitter = found.splitter
    if splitter is None:
        return Text("splitter: none", style="red")
    lag, speed = duration(splitter.lag_s), rate(splitter.events_per_s)
    address = _addresses(found).get(splitter.node, splitter.node)
    return Text(f"splitter: {splitter.state} on {printable(address)}, {speed} events/s, lag {lag}")


def _hosts(found: ClusterStatus) -> Table:
    """Return a table of nodes, each with its hosts."""
    table = _table("node", "host", "partitions", "sessions", "events/s", "lag", "cpu", "memory")
    for node in found.nodes:
        hosts = [host for host in found.hosts if host.node == node.id]
        state = "leaving" if node.leaving else f"CPUs: {node.cpus:g}"
        for index, host in enumerate(hosts):
            table.add_row(
                f"{printable(node.address)} ({state})" if index == 0 else "",
                _short(host.name),
                count(len(host.partitions)),
                count(host.sessions),
                rate(host.events_per_s),
                duration(host.lag_s),
                share(host.cpu),
                f"{host.memory_bytes / 1e6:,.0f} MB",
            )
        if not hosts:
            table.add_row(f"{printable(node.address)} ({state})", UNKNOWN)
    return table


def _moves(found: ClusterStatus) -> Table:
    table = _table("moved at", "partition", "from", "to", "within")
    for move in reversed(found.moves):
        table.add_row(
            to_iso(move.at_ms),
            count(move.partition),
            _short(move.source) or "lost",
            _short(move.target),
            duration(move.duration_s),
        )
    return table


def _short(host: str) -> str:
    return printable(host.removeprefix("conductor-host-"))


def _table(*titles: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for title in titles:
        is_text = title in {"node", "host", "moved at", "from", "to"}
        table.add_column(title, justify="left" if is_text else "right", no_wrap=True)
    return table


def _addresses(found: ClusterStatus) -> dict[str, str]:
    return {node.id: node.address for node in found.nodes}


def _numbers(partitions: Sequence[int]) -> str:
    listed = ", ".join(str(number) for number in partitions[:MAX_LISTED_PARTITIONS])
    more = len(partitions) - MAX_LISTED_PARTITIONS
    return f"{listed} and {more} more" if more > 0 else listed
