"""The dashboard beside hosts: on a thread of the process that started them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from conductor_actors.actors.supervisor import EXIT_FAILED
from conductor_actors.app.service import DashboardService
from conductor_actors.app.startup import ServerUrls
from conductor_actors.errors import ConfigError
from conductor_actors.settings import Settings

DASHBOARD_STOP_S: Final = 3.0


class DashboardThread:
    """Runs a dashboard until `stop`, or until it fails."""

    def __init__(self, settings: Settings, urls: ServerUrls) -> None:
        self._service = DashboardService(settings, urls.redis, urls.database)
        self._error: ConfigError | None = None
        self._exit_code: int | None = None
        self._thread = threading.Thread(target=self._run, name="dashboard-service", daemon=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run until the block ends."""
        self._thread.start()
        try:
            yield
        finally:
            self._service.stop()
            self._thread.join(DASHBOARD_STOP_S)

    def exit_code(self) -> int | None:
        """Return the exit code once it has ended; raise the `ConfigError` that prevents its start.

        None while it runs.
        """
        if self._error is not None:
            raise self._error
        return self._exit_code

    def _run(self) -> None:
        exit_code = EXIT_FAILED
        try:
            exit_code = self._service.run()
        except ConfigError as error:
            self._error = error
        finally:
            self._exit_code = exit_code
