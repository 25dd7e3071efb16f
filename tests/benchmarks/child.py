"""The program's own command line, which on SIGUSR1 also tidies up to be measured from outside.

It collects garbage and gives each thread its Python name where /proc shows it. Run by `watched`.
"""

import gc
import signal
import threading
from contextlib import suppress
from pathlib import Path

from conductor_actors.cli import main


def tidy(*_: object) -> None:
    gc.collect()
    for thread in threading.enumerate():
        with suppress(OSError):  # it has just ended
            Path(f"/proc/self/task/{thread.native_id}/comm").write_text(thread.name[:15])


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, tidy)
    main()
