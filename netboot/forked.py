"""A child that is made by fork: it has what its parent has open and has read, and none of the parent's way to end.

It stays in the code that is given to it, and ends with the process, whatever happens there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable
from typing import Final, NoReturn

import structlog

from app.child import Child, Process
from app.lifeline import die_with_parent

log = structlog.get_logger()

BROKE: Final = 1
PR_SET_NAME: Final = 15
# Those that the parent handles; the child has to have its own answer before the first of them reaches it.
HANDLED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class ForkedChild(Child):
    """A child process of our own code that is to run for as long as we do."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        """Describe the child; nothing is started yet. work: what it does; when it returns the process ends in peace."""
        super().__init__(name, (), {})
        self._work = work

    def _launch(self) -> Process:
        lifeline = die_with_parent(signal.SIGKILL)
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        pid = os.fork()
        if not pid:
            _live(self.name, lifeline, self._work)
        with contextlib.suppress(OSError):  # the child does it too: whoever comes first
            os.setpgid(pid, pid)
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        return Forked(pid)


class Forked:
    """A process that was forked, with what `subprocess.Popen` has."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return the exit status if it has ended, negative for a signal."""
        return self._ask(os.WNOHANG)

    def wait(self) -> int:
        """Wait for its end; return the exit status."""
        return self._ask(0) or 0

    def terminate(self) -> None:
        """Ask it to end."""
        os.kill(self.pid, signal.SIGTERM)

    def _ask(self, options: int) -> int | None:
        if self._status is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status


def _live(name: str, lifeline: Callable[[], None], work: Callable[[], None]) -> NoReturn:
    """Be the child. It must not go back into the code of its parent, so nothing is raised from here."""
    status = BROKE
    try:
        os.setpgid(0, 0)  # Ctrl-C in a terminal is for the parent, and all that the child forks goes with it
        lifeline()
        ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)  # its command line is that of the parent
        for number in HANDLED:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        work()
        status = 0
    except Exception:  # whatever it is, the parent starts another
        log.exception("netboot_child_broke")
    finally:
        os._exit(status)
