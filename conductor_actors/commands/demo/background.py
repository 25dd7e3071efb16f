"""The threads that the demo runs beside the service: one simulates sessions, one shows scores."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Final

import redis
from rich.console import Console

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.namespaces import prefix_of
from conductor_actors.adapters.redis.updates.update_reader import RedisUpdateReader
from conductor_actors.app.startup import ServerUrls
from conductor_actors.commands.demo import screen
from conductor_actors.commands.demo.earlier_sessions import store_earlier_sessions
from conductor_actors.dashboard.options import page_url
from conductor_actors.settings import Settings
from conductor_actors.simulate import Simulation, add_past, add_titles, feed

JOIN_TIMEOUT_S: Final = 5.0


def begin_simulation(
    urls: ServerUrls, sessions: int, settings: Settings
) -> tuple[Simulation, Settings]:
    """Return a simulation whose past is in Redis, and the settings by which a service reads it.

    Sessions that ended earlier are in the database, if this is the first simulation. Without Redis
    there is no past; the service then reports the outage.
    """
    simulation = Simulation(sessions, seed=time.time_ns())
    has_only_this = False
    with closing(open_client(urls.redis)) as client, suppress(redis.RedisError):
        has_only_this = add_past(client, simulation, prefix_of(client))
        add_titles(client, simulation, prefix_of(client))
    if not has_only_this:
        return simulation, settings
    store_earlier_sessions(urls.database, settings)
    if "start" not in settings.model_fields_set:
        settings = settings.model_copy(update={"start": "earliest"})
    return simulation, settings


@contextmanager
def simulate_and_show(
    redis_url: str, simulation: Simulation, settings: Settings, on_exit: Callable[[], None]
) -> Iterator[None]:
    """Continue a simulation and show its scores until the block ends.

    `on_exit` is called when either thread ends, also with an error: the demo is over then.
    """
    stop = threading.Event()
    footer = f"dashboard: {page_url(settings.http_host, settings.http_port)} · Ctrl-C to stop"

    def simulate() -> None:
        client = open_client(redis_url)
        feed(client, simulation, stop, prefix_of(client))

    def show() -> None:
        with closing(RedisUpdateReader(redis_url)) as reader:
            screen.show_updates(reader, Console(), stop, footer)

    with ExitStack() as stack:
        for run in (simulate, show):
            stack.enter_context(run_in_background(run, stop, on_exit))
        yield


@contextmanager
def run_in_background(
    run: Callable[[], None], stop: threading.Event, on_exit: Callable[[], None]
) -> Iterator[None]:
    """Run a function on a thread until the block ends, which sets `stop`.

    `on_exit` is called when the function returns or raises.
    """

    def run_and_notify() -> None:
        try:
            run()
        finally:
            on_exit()

    thread = threading.Thread(target=run_and_notify, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(JOIN_TIMEOUT_S)
