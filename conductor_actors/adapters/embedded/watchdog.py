"""Runs one server for another program, and stops it when that program has ended.

    python -I -S watchdog.py LIFELINE ACCOUNT COMMAND [ARGUMENT …]

LIFELINE is the file descriptor of a socket whose other end is the program's. The kernel closes that
end however the program ends, even by SIGKILL. ACCOUNT is UID:GID, or empty for the program's own.

It is a separate process, because nothing in the program runs after a SIGKILL, and because a server
that hangs needs more than one signal. PR_SET_PDEATHSIG is only one signal, and the kernel sends it
when the *thread* that forked ends. Here it is the second line of defence: `pkill -9 python` kills
the program and this process at once. This process imports little: it takes 4 MB and 30 ms.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Final, NoReturn

# Sent to a server whose program has ended, within 5 s in all. SIGINT is PostgreSQL's fast shutdown
# and Valkey's ordinary one; SIGQUIT makes PostgreSQL end at once and recover at its next start.
# Both keep what was committed.
_ORPHAN_SIGNALS: Final = ((signal.SIGINT, 2.5), (signal.SIGQUIT, 1.5), (signal.SIGKILL, 0.0))
_PR_SET_PDEATHSIG: Final = 1


def _run_watchdog(lifeline: str, account: str, *command: str) -> int:
    program = int(lifeline)
    os.set_inheritable(program, False)  # noqa: FBT003 - by position alone
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a handler of Python's would be lost by exec
    watchdog = os.getpid()
    server = os.fork()
    if server == 0:
        _become_server(account, command, watchdog)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for the program
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_stop_with_program, args=(program, server), daemon=True).start()
    with suppress(BrokenPipeError):
        os.write(program, str(server).encode())
    return os.waitstatus_to_exitcode(os.waitpid(server, 0)[1])


def _become_server(account: str, command: tuple[str, ...], watchdog: int) -> NoReturn:
    """Turn this process into the server."""
    try:
        if account:
            uid, gid = map(int, account.split(":"))
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)  # clears what the next line sets
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it
        if os.getppid() == watchdog:  # else the watchdog has ended already
            os.execv(command[0], command)  # noqa: S606 - the program's own command
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.stderr.flush()
    finally:
        os._exit(127)


def _stop_with_program(program: int, server: int) -> None:
    """Wait until the program has ended, then stop the server."""
    with suppress(ConnectionResetError):  # the program ended before it read the server's pid
        os.read(program, 1)
    for number, wait_s in _ORPHAN_SIGNALS:
        with suppress(ProcessLookupError):
            os.kill(server, number)
        time.sleep(wait_s)


if __name__ == "__main__":
    sys.exit(_run_watchdog(*sys.argv[1:]))
