"""Kills processes of Ray once the program that started them has ended, however it ended.

    python -I -S ray_watchdog.py LIFELINE DIRECTORY PIDFD …

LIFELINE is the reading end of a pipe that only the program writes to, DIRECTORY is removed, and the
others are descriptors of processes. On Linux the kernel kills the processes that Ray starts first,
but not their children: two agents would run on, waiting for a head that has ended.
"""

import os
import shutil
import signal
import sys
from contextlib import suppress


def _kill_orphans(lifeline: int, directory: str, processes: list[int]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for the program
        signal.signal(number, signal.SIG_IGN)
    while os.read(lifeline, 1):
        pass
    for process in processes:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGKILL)
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    _kill_orphans(int(sys.argv[1]), sys.argv[2], [int(each) for each in sys.argv[3:]])
