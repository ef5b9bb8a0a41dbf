"""Children that are made by fork: they have what their parent has open and has read, and none of its way to end.

They stay in the code that is given to them, and end with the process, whatever happens there.
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


def fork(live: Callable[[], int]) -> Forked:
    """Make a child.

    Args:
        live: what the child does, with signals that end it; returns the status with which it ends.

    Raises:
        OSError: there is no child, and all is as before. `multiprocessing` would lose four descriptors each time.
    """
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        pid = os.fork()
        if not pid:
            _live(live)
        return Forked(pid)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)


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

    def kill(self) -> None:
        """End it; it is there until it has been waited for."""
        os.kill(self.pid, signal.SIGKILL)

    def _ask(self, options: int) -> int | None:
        if self._status is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status


class ForkedChild(Child):
    """A child process of our own code that is to run for as long as we do."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        """Describe the child; nothing is started yet. work: what it does; when it returns the process ends in peace."""
        super().__init__(name, (), {})
        self._work = work

    def _launch(self) -> Process:
        lifeline = die_with_parent(signal.SIGKILL)

        def live() -> int:
            os.setpgid(0, 0)  # Ctrl-C in a terminal is for the parent, and all that the child forks goes with it
            lifeline()
            ctypes.CDLL(None).prctl(PR_SET_NAME, self.name.encode(), 0, 0, 0)  # its command line is the parent's
            self._work()
            return 0

        process = fork(live)
        with contextlib.suppress(OSError):  # the child does it too: whoever comes first
            os.setpgid(process.pid, process.pid)
        return process


def _live(live: Callable[[], int]) -> NoReturn:
    """Be the child. It must not go back into the code of its parent, so nothing is raised from here."""
    status = BROKE
    try:
        for number in HANDLED:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        status = live()
    except Exception:  # whatever it is, the parent goes on
        log.exception("netboot_child_broke")
    finally:
        os._exit(status)
