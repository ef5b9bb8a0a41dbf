"""The provider as a child process: started as in production, watched, and stopped with all that belongs to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import app
from lab.fetch import FetchError, fetch

UP_TIMEOUT_S: Final = 60.0  # eight Python processes start side by side, which takes a slow machine a while
ELSEWHERE_UP_TIMEOUT_S: Final = 600.0  # a person starts it, after having a look around
PROBE_S: Final = 0.2
PROBE_TIMEOUT_S: Final = 2.0  # an answer of a process that has come up takes milliseconds
STOP_TIMEOUT_S: Final = 15.0  # it promises to have stopped within ten seconds
TAIL_LINES: Final = 20


class ProductError(Exception):
    """The provider did not come up, or has ended. `status` is its exit status, None while it runs."""

    def __init__(self, words: str, status: int | None = None) -> None:
        super().__init__(words)
        self.status = status


class Product:
    """`omni-metal run` with given options, its output in a file."""

    announcement = "the provider starts"

    def __init__(
        self, options: Sequence[str], url: str, log_path: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        self.url = url
        self._environ = dict(environ or {})
        self.log_path = log_path
        self.options = tuple(options)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process."""
        provider = [sys.executable, "-m", "app.cli", "run", *self.options]
        tether = [sys.executable, "-m", "lab.tether", str(os.getpid()), *provider]
        with self.log_path.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *tether,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=child_environment(os.environ) | self._environ,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process under which all of it runs; 0 before it was started."""
        return 0 if self._process is None else self._process.pid

    @property
    def exit_status(self) -> int | None:
        """How it ended; None while it runs, and before it was started."""
        return None if self._process is None else self._process.returncode

    def check(self) -> None:
        """Raise ProductError if the provider has ended."""
        if self.exit_status is not None:
            raise ProductError(f"the provider has ended with exit status {self.exit_status}", self.exit_status)

    async def wait_up(self, timeout_s: float = UP_TIMEOUT_S) -> None:
        """Wait until it says that it is ready.

        Raises:
            ProductError: it has ended, or is not ready in time.
        """
        said = "no answer"
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    self.check()
                    try:
                        answer = await fetch(f"{self.url}/readyz", PROBE_TIMEOUT_S)
                    except FetchError as error:
                        said = str(error)
                    else:
                        said = f"HTTP {answer.status}: {answer.text.strip()}"
                        if answer.status == 200:
                            return
                    await asyncio.sleep(PROBE_S)
        except TimeoutError:
            raise ProductError(f"the provider is not ready after {timeout_s:g} s ({said})") from None

    async def stop(self) -> None:
        """End it, by force if it does not heed the request."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    def last_lines(self, count: int = TAIL_LINES) -> list[str]:
        """The end of what it wrote."""
        try:
            return self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
        except OSError:
            return []


class Elsewhere(Product):
    """A provider that somebody else starts and ends."""

    announcement = "waiting for the provider"

    def __init__(self, url: str, log_path: Path) -> None:
        super().__init__(("--disable-flower",), url, log_path)

    async def start(self) -> None:
        """Leave it to others."""

    async def wait_up(self, timeout_s: float = ELSEWHERE_UP_TIMEOUT_S) -> None:
        """Wait until it says that it is ready. Raises ProductError."""
        await super().wait_up(timeout_s)


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for the provider: without options, so that it never talks to anything but this rack."""
    kept = {name: value for name, value in environ.items() if not name.startswith("OMNI_")}
    root = str(Path(app.__file__).resolve().parent.parent)
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environ.get("PYTHONPATH"))))
    return kept
