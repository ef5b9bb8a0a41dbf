"""One process under the supervisor: started, watched, started again, stopped with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import structlog

from app.ambient import drop_ambient_rights
from app.lifeline import die_with_parent

log = structlog.get_logger()

# Half a second lets a port or a socket go free; ten seconds keep a broken process from filling the log.
FIRST_BACKOFF_S: Final = 0.5
LONGEST_BACKOFF_S: Final = 10.0
# All processes start at once, on two slow cores that takes some seconds; who lives longer than this has started.
STARTED_AFTER_S: Final = 15.0
STARTS_THAT_MAY_FAIL: Final = 3
WRONG_USAGE: Final = 2


class Process(Protocol):
    """What there must be of a process that was started; `subprocess.Popen` has it."""

    @property
    def pid(self) -> int:
        """Its process id, which is that of its group too."""

    def poll(self) -> int | None:
        """Return the exit status if it has ended, negative for a signal."""

    def wait(self) -> int:
        """Wait for its end; return the exit status."""

    def terminate(self) -> None:
        """Ask it to end."""


class Child:
    """A child process that is to run for as long as we do."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        death_signal: signal.Signals = signal.SIGKILL,
        *,
        keeps_rights: bool = False,
    ) -> None:
        """Describe the child; nothing is started yet. keeps_rights: whether it gets our ambient capabilities."""
        self.name = name
        self._command = list(command)
        self._environ = dict(environ)
        self._death_signal = death_signal
        self._keeps_rights = keeps_rights
        self._process: Process | None = None
        self._started_at = 0.0
        self._start_again_at = 0.0
        self._backoff_s = FIRST_BACKOFF_S
        self._failed_starts = 0
        self._has_run = False
        self.misused = False
        """Whether it ended because its settings are wrong."""

    @property
    def runs(self) -> bool:
        """Whether there is a process that has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process id while there is a process."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process in a group of its own: Ctrl-C in a terminal is for us, we tell the children."""
        self._started_at = time.monotonic()
        self._process = self._launch()

    def _launch(self) -> Process:
        return subprocess.Popen(  # noqa: S603 - commands of our own making
            self._command,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=self._in_child(),  # noqa: PLW1509 - we have no other thread
        )

    def _in_child(self) -> Callable[[], None]:
        """What is done in the new process before its program begins."""
        steps = [die_with_parent(self._death_signal)]
        if not self._keeps_rights:
            steps.append(drop_ambient_rights())

        def prepare() -> None:
            for step in steps:
                step()

        return prepare

    def ended(self) -> int | None:
        """Return the exit status if the process has ended, negative for a signal."""
        return self._process.poll() if self._process else None

    def look_after(self) -> str:
        """Start it again when it has ended and its pause is over; return why that is hopeless, or nothing."""
        if self._process is None:
            return self._try_start() if time.monotonic() >= self._start_again_at else ""
        status = self.ended()
        if status is None:
            if not self._has_run and time.monotonic() - self._started_at > STARTED_AFTER_S:
                self._has_run = True
            return ""
        return self._has_ended(status)

    def _try_start(self) -> str:
        try:
            self.start()
        except OSError as error:  # such as for a limit of processes, which passes
            reason = error.strerror or str(error)
        else:
            return ""
        if self._start_has_failed():
            return f"{self.name} cannot be started ({reason})"
        log.error("process_cannot_start", child=self.name, reason=reason, start_again_in_s=self._pause())
        return ""

    def _has_ended(self, status: int) -> str:
        lived_s = time.monotonic() - self._started_at
        self.kill()  # what it has started must not hold the port or the socket
        self._process = None
        if status == WRONG_USAGE:
            self.misused = True
            return f"{self.name} does not start with these settings"
        if self._start_has_failed():
            return f"{self.name} ended {self._failed_starts} times while starting ({in_words(status)}), see above"
        if lived_s > STARTED_AFTER_S:
            self._backoff_s = FIRST_BACKOFF_S
        log.error("process_ended", child=self.name, how=in_words(status), start_again_in_s=self._pause())
        return ""

    def _start_has_failed(self) -> bool:
        """Count it; whether there were too many."""
        self._failed_starts += 1
        return not self._has_run and self._failed_starts >= STARTS_THAT_MAY_FAIL

    def _pause(self) -> float:
        """Have the next start wait, each time for longer; for how many seconds."""
        pause_s = self._backoff_s
        self._start_again_at = time.monotonic() + pause_s
        self._backoff_s = min(2 * pause_s, LONGEST_BACKOFF_S)
        return pause_s

    def terminate(self) -> None:
        """Ask the process to end."""
        if self._process and self.runs:
            self._process.terminate()

    def kill(self) -> None:
        """End the process and whatever it has started in its group, and wait for it."""
        if self._process is None:
            return
        # All of the group may have ended, which macOS calls a lack of permission.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def in_words(status: int) -> str:
    """Return how a process ended."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"status {status}"
