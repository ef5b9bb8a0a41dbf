"""Boots in steady state over kept connections, from a process of its own: wrk where it is installed, else this module.

`python -m lab.bench.boot_steady URL CONNECTIONS SECONDS PATHS_FILE`; both write one line of JSON at the end.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final, Protocol, cast
from urllib.parse import urlsplit

from lab.bench.quantiles import median, p99

SCRIPT: Final = Path(__file__).with_name("boot_steady.lua")


def command(url: str, connections: int, seconds: int, paths: Path) -> list[str]:
    """The loader that costs least here."""
    wrk = shutil.which("wrk")
    if wrk:
        return [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(SCRIPT), url, "--", str(paths)]
    return [sys.executable, "-m", "lab.bench.boot_steady", url, str(connections), str(seconds), str(paths)]


class Sink(Protocol):
    """What questions are written to."""

    def write(self, data: bytes) -> None:
        """Send this."""


class Asker(asyncio.Protocol):
    """One connection: asks, waits for the whole answer, asks again."""

    def __init__(self, paths: Iterator[str], host: str, times_ms: list[float]) -> None:
        self._paths = paths
        self._rest = f" HTTP/1.1\r\nHost: {host}\r\n\r\n"
        self._times_ms = times_ms
        self._answer = b""
        self._asked_s = 0.0
        self.failed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.begin(cast(asyncio.Transport, transport))

    def begin(self, transport: Sink) -> None:
        """Ask for the first time."""
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Take a piece of an answer."""
        self._answer += data
        head, whole, body = self._answer.partition(b"\r\n\r\n")
        if not whole or len(body) < _length(head):
            return
        self._times_ms.append((time.monotonic() - self._asked_s) * 1000)
        self.failed += not head.startswith(b"HTTP/1.1 200 ")
        self._answer = b""
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """Only the other side closes."""
        self.failed += exc is not None

    def _ask(self) -> None:
        self._asked_s = time.monotonic()
        self._transport.write(f"GET {next(self._paths)}{self._rest}".encode())


def _itself(asker: Asker) -> Asker:
    """What asyncio wants a factory for."""
    return asker


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)


async def steady(url: str, connections: int, seconds: float, paths: list[str]) -> dict[str, float]:
    """Ask for some seconds; what came of it, in the words of wrk's script."""
    parts, times_ms, following = urlsplit(url), list[float](), itertools.cycle(paths)
    place = str(parts.hostname), parts.port or 80
    askers = [Asker(following, parts.netloc, times_ms) for _ in range(connections)]
    for asker in askers:
        await asyncio.get_running_loop().create_connection(partial(_itself, asker), *place)
    began_s = time.monotonic()
    await asyncio.sleep(seconds)
    took_s, failed = time.monotonic() - began_s, sum(asker.failed for asker in askers)
    figures = {"median_ms": median(times_ms), "p99_ms": p99(times_ms)}
    return {"answers": len(times_ms), "took_s": took_s, "failed": failed, **figures}


def main() -> None:
    """Ask, and write what came of it."""
    url, connections, seconds, paths = sys.argv[1:]
    json.dump(asyncio.run(steady(url, int(connections), float(seconds), Path(paths).read_text().split())), sys.stdout)


if __name__ == "__main__":
    main()
